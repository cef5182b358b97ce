// What went wrong, and what to do: one line each, above everything else.

import { byId, el } from './dom.js';

const shown = new Map();

/** Show a notice, in place of an earlier one of the same topic. */
export function notify(topic, { level = 'error', text, fix = '' }) {
  const key = JSON.stringify([level, text, fix]);
  if (shown.get(topic)?.key === key) return;
  dismiss(topic);
  const node = el('div', { class: `notice ${level}` },
    el('span', { class: 'notice-text' }, el('b', { dir: 'auto', text }), ...(fix ? [el('span', { dir: 'auto', text: fix })] : [])),
    el('button', { type: 'button', class: 'small', text: 'Close', 'aria-label': `Close: ${text}`, onclick: () => dismiss(topic) }));
  shown.set(topic, { key, node });
  byId('notices').append(node);
}

export function dismiss(topic) {
  shown.get(topic)?.node.remove();
  shown.delete(topic);
}
