// Latency as a bar of its stages, with the figures as text.

import { byId, el, formatSeconds, show } from './dom.js';
import { STAGES } from './latency.js';

const MOST_TURNS = 30;

/** A small bar, for below an answer. */
export function describeBar(latency) {
  const told = latency.stages.map(({ label, seconds }) => `${label} ${formatSeconds(seconds)}`).join(', ');
  const total = formatSeconds(latency.total);
  const bar = el('span', { class: 'stages', role: 'img', 'aria-label': `${latency.measured ? 'End to end' : 'In all'} ${total}: ${told}`, title: told });
  for (const { key, seconds } of latency.stages) {
    const part = el('i', { 'data-stage': key });
    part.style.setProperty('--share', String(Math.max(1, (100 * seconds) / latency.total)));
    bar.append(part);
  }
  return el('span', { class: 'bar-line' }, bar, el('b', { text: total }));
}

/** The turns of a call, the newest first, and where the time of each went. */
export class LatencyView {
  #root = byId('latency');
  #turns = [];

  constructor() {
    this.#render();
  }

  clear() {
    this.#turns = [];
    this.#render();
  }

  add(who, { latency, text }) {
    this.#turns.unshift({ who, latency, text: text.slice(0, 80) });
    this.#turns.length = Math.min(this.#turns.length, MOST_TURNS);
    this.#render();
  }

  #render() {
    if (!this.#turns.length) {
      this.#root.replaceChildren(el('p', { class: 'quiet', text: 'After the first answer: what its time went into.' }));
      return;
    }
    const used = STAGES.filter(({ key }) => this.#turns.some(({ latency }) => latency.stages.some((one) => one.key === key)));
    const legend = el('dl', { class: 'legend' }, ...used.map(({ key, label, told }) => {
      const newest = this.#turns[0].latency.stages.find((one) => one.key === key);
      return el('div', { title: told }, el('dt', {}, el('i', { 'data-stage': key }), label), el('dd', { text: newest ? formatSeconds(newest.seconds) : '–' }));
    }), el('div', { class: 'sum' }, el('dt', { text: this.#turns[0].latency.measured ? 'End to end' : 'In all' }), el('dd', { text: formatSeconds(this.#turns[0].latency.total) })));
    const rows = this.#turns.map(({ who, latency, text }) => el('li', {}, el('span', { class: 'quiet turn', dir: 'auto', text: `${who}: ${text}` }), describeBar(latency)));
    this.#root.replaceChildren(legend, el('ol', { class: 'turns' }, ...rows));
    show(this.#root, true);
  }
}
