// The head of the conversation: who is there, in which state, and how loud.

import { byId, el, formatClock, renderIfChanged, setText, show } from './dom.js';

const WORDS = {
  idle: 'Idle', initializing: 'Starting', listening: 'Listening', thinking: 'Thinking', speaking: 'Speaking', left: 'Gone',
  microphone: 'Asking for your microphone', connecting: 'Connecting', waiting: 'Waiting for an agent', reconnecting: 'Reconnecting', ended: 'The call is over', none: 'Not in a call',
};

/** The state that counts most: that of the call until an agent is there, then the busiest agent's. */
export function stateOf(call) {
  if (!call || call.state === 'idle') return 'none';
  if (call.state !== 'live') return call.state;
  const states = [...call.agents.values()].map((one) => one.state).filter(Boolean);
  if (!call.agents.size) return 'waiting';
  return ['speaking', 'thinking', 'listening', 'idle', 'initializing', 'left'].find((one) => states.includes(one)) ?? 'initializing';
}

export const wordFor = (state) => WORDS[state] ?? state;

export function renderStage(call, asked) {
  const agents = call ? [...call.agents.values()] : [];
  const state = stateOf(call);
  const names = agents.map((one) => one.name).join(' and ');
  const title = names || (call ? asked : '') || 'Nobody yet';
  setText(byId('title'), call?.watching ? `Watching ${title}` : title);
  setText(byId('state'), state === 'ended' && call.ended ? call.ended : wordFor(state));
  byId('state').dataset.state = state;
  document.body.dataset.call = !call ? 'idle' : call.live ? 'live' : 'ended';
  document.body.dataset.agent = state;
  const isCast = agents.length > 1;
  byId('timeline').classList.toggle('lanes', isCast);
  byId('timeline').style.setProperty('--lanes', String(agents.length + 1));
  byId('members').style.setProperty('--lanes', String(agents.length + 1));
  show(byId('members'), isCast);
  renderIfChanged(byId('members'), isCast ? agents.map(({ identity, name, role, state: of, tools, agent, gone }) => [identity, name, role, of, tools, agent, gone]) : [], () =>
    isCast ? [el('li', { class: 'member you' }, el('b', { text: call.watching ? 'Caller' : 'You' })), ...agents.map(describeMember)] : []);
}

export function renderControls(call) {
  const live = Boolean(call?.live);
  show(byId('hang'), live);
  setText(byId('hang'), call?.watching ? 'Stop watching' : 'Hang up');
  const speaks = live && !call.text && !call.watching;
  show(byId('mute'), speaks || (live && call.watching && call.state === 'live'));
  show(byId('mic'), speaks);
  if (call?.watching) {
    setText(byId('mute'), call.hears ? 'Stop listening' : 'Listen in');
    byId('mute').setAttribute('aria-pressed', String(Boolean(call.hears)));
  } else {
    setText(byId('mute'), call?.muted ? 'Unmute' : 'Mute');
    byId('mute').setAttribute('aria-pressed', String(Boolean(call?.muted)));
  }
  show(byId('sound'), live && !call.canPlay);
  const types = live && !call.watching;
  byId('line').disabled = !types;
  byId('send').disabled = !types;
  byId('line').placeholder = call?.watching && live ? 'You only watch' : live ? 'Type what you say' : 'Call somebody first';
  byId('call').disabled = live;
}

export function renderClock(call) {
  setText(byId('clock'), call?.live && call.began ? formatClock((Date.now() - call.began) / 1000) : '');
}

/** Move the bars of the agent, or the microphone's, with a level from 0 to 1. */
export function renderLevel(call, identity, level) {
  if (identity === '') byId('mic').firstElementChild.style.setProperty('--level', level.toFixed(2));
  else byId('orb').style.setProperty('--level', level.toFixed(2));
  const member = identity && byId('members').querySelector(`[data-member="${CSS.escape(identity)}"]`);
  if (member) member.style.setProperty('--level', level.toFixed(2));
}

function describeMember({ identity, number, name, role, state, tools }) {
  return el('li', { class: 'member', 'data-member': identity, 'data-speaker': String(number % 6) },
    el('span', { class: 'member-name' }, el('b', { dir: 'auto', text: name }), el('span', { class: 'state', 'data-state': state || 'initializing', text: wordFor(state || 'initializing') })),
    el('span', { class: 'quiet', dir: 'auto', text: role && role !== name ? role : '' }),
    ...(tools?.length ? [el('span', { class: 'member-tools', 'aria-label': 'Tools' }, ...tools.map((tool) => el('code', { text: tool })))] : []));
}
