// The calls that go on, each to be watched unseen.

import { byId, el, formatClock, renderIfChanged } from './dom.js';

const MOST_SHOWN = 50;

/** `own` is the room of this page's call; `onWatch(room)` is called to watch one. */
export function renderCalls(calls, own, onWatch) {
  const shown = calls.slice(0, MOST_SHOWN);
  const key = shown.map((one) => [one.room, one.agent, one.participants, one.state, own === one.room, Math.floor((Date.now() / 1000 - one.since) / 5)]);
  const watchButton = document.activeElement?.dataset?.room;
  renderIfChanged(byId('calls'), [key, calls.length], () => {
    if (!shown.length) return [el('li', { class: 'quiet', text: 'None. Each call of the workers on this machine appears here.' })];
    const rows = shown.map((one) => describeCall(one, own, onWatch));
    if (calls.length > shown.length) rows.push(el('li', { class: 'quiet', text: `and ${calls.length - shown.length} more` }));
    return rows;
  });
  if (watchButton) [...byId('calls').querySelectorAll('button')].find((one) => one.dataset.room === watchButton)?.focus({ preventScroll: true });
}

function describeCall({ room, agent, participants, since, state }, own, onWatch) {
  const mine = room === own;
  const age = since ? formatClock(Date.now() / 1000 - since) : '';
  const button = el('button', { type: 'button', class: 'small', 'data-room': room, text: 'Watch', 'aria-label': `Watch the call in ${room}`, onclick: () => onWatch(room, agent) });
  return el('li', { class: mine ? 'mine' : '' },
    el('span', { class: 'call-text' },
      el('b', { dir: 'auto', text: agent || 'some agent' }),
      el('span', { class: 'quiet', dir: 'auto', text: room }),
      el('span', { class: 'quiet', dir: 'auto', text: [age, state !== 'live' && state, participants.join(', ')].filter(Boolean).join(' · ') })),
    mine ? el('span', { class: 'tag', text: 'here' }) : button);
}
