// The agents to choose from, and why one cannot come.

import { byId, el, renderIfChanged, setText, show } from './dom.js';

const MOST_SHOWN = 100;
const FILTER_FROM = 8;
export const ROUTED = ''; // the routing chooses
export const STOCK = ' stock'; // no agent's name has a space in front

export class Picker {
  #found = null;
  #chosen = null;
  #onChange;

  constructor(onChange) {
    this.#onChange = onChange;
    byId('filter').addEventListener('input', () => this.#render());
    byId('agents').addEventListener('change', ({ target }) => {
      if (target.name !== 'agent') return;
      this.#chosen = target.value;
      show(byId('stock-name'), target.value === STOCK);
      if (target.value === STOCK) byId('stock-name').scrollIntoView({ block: 'nearest' });
      this.#onChange();
    });
  }

  /** What a token is asked for; null while nothing that can come is chosen. */
  get wish() {
    const text = document.querySelector('input[name=mode]:checked').value === 'text';
    if (this.#chosen === STOCK) return { name: byId('stock-name').value.trim(), agent: '', text };
    if (this.#chosen === ROUTED) return { agent: '', text };
    const agent = this.#found?.agents.find((one) => one.name === this.#chosen);
    return agent?.ready ? { agent: agent.name, text } : null;
  }

  /** Names of the members that a cast will have. */
  membersOf(name) {
    return this.#found?.agents.find((one) => one.name === name)?.members ?? [];
  }

  get isEmpty() {
    return this.#found !== null && this.#found.agents.length === 0;
  }

  take(found) {
    this.#found = found;
    const known = found.agents.some((one) => one.name === this.#chosen) || this.#chosen === STOCK || (this.#chosen === ROUTED && found.routes);
    if (!known) this.#chosen = this.#choose(found);
    this.#render();
  }

  #choose({ agents, chosen, routes }) {
    const ready = agents.filter((one) => one.ready);
    if (ready.some((one) => one.name === chosen)) return chosen;
    return ready[0]?.name ?? (routes ? ROUTED : null);
  }

  #render() {
    if (!this.#found) return;
    const { agents, routes } = this.#found;
    const wanted = byId('filter').value.trim().toLowerCase();
    show(byId('filter'), agents.length >= FILTER_FROM);
    const fitting = agents.filter((one) => `${one.name} ${one.summary} ${one.distribution}`.toLowerCase().includes(wanted));
    const shown = fitting.slice(0, MOST_SHOWN);
    setText(byId('more'), wanted && !fitting.length ? 'No agent fits.' : `${fitting.length - shown.length} more: type a part of the name.`);
    show(byId('more'), fitting.length > shown.length || Boolean(wanted && !fitting.length));
    const focused = document.activeElement?.name === 'agent' ? document.activeElement.value : null;
    renderIfChanged(byId('agents'), [shown, routes, agents.length > 0], () => [
      ...(agents.length ? [] : [describeNoAgents()]),
      ...shown.map((one) => describeAgent(one)),
      ...(routes && agents.length ? [describeRouted()] : []),
      describeStock(),
    ]);
    for (const input of document.getElementsByName('agent')) {
      input.checked = input.value === this.#chosen;
      if (input.value === focused) input.focus({ preventScroll: true });
    }
    show(byId('stock-name'), this.#chosen === STOCK);
    this.#onChange();
  }
}

function describeAgent({ name, kind, summary, distribution, version, ready, reason, fix, members }) {
  const who = members.map((one) => one.name || one.role).join(', ');
  return el('label', { class: `agent${ready ? '' : ' lacking'}` },
    el('input', { type: 'radio', name: 'agent', value: name, disabled: !ready }),
    el('span', { class: 'agent-text' },
      el('span', { class: 'agent-name' },
        el('b', { dir: 'auto', text: name }),
        ...(kind === 'agent' ? [] : [el('span', { class: 'tag', text: kind })])),
      ...(summary ? [el('span', { class: 'summary', dir: 'auto', text: summary })] : []),
      ...(who ? [el('span', { class: 'quiet', dir: 'auto', text: `with ${who}` })] : []),
      el('span', { class: 'quiet', text: `${distribution} ${version}` }),
      ...(ready ? [] : [el('span', { class: 'lack', dir: 'auto', text: fix ? `${reason}. To do: ${fix}` : reason })])));
}

function describeRouted() {
  return el('label', { class: 'agent' },
    el('input', { type: 'radio', name: 'agent', value: ROUTED }),
    el('span', { class: 'agent-text' },
      el('span', { class: 'agent-name' }, el('b', { text: 'Let the routing choose' })),
      el('span', { class: 'summary', text: 'As for a call that names nobody; the page says why.' })));
}

function describeStock() {
  return el('div', { class: 'stock' },
    el('label', { class: 'agent plain' },
      el('input', { type: 'radio', name: 'agent', value: STOCK }),
      el('span', { class: 'agent-text' }, el('span', { class: 'summary', text: 'Another LiveKit worker, by its name' }))),
    el('input', { id: 'stock-name', maxlength: 256, autocomplete: 'off', placeholder: 'agent_name; empty: automatic', 'aria-label': 'The agent_name of the worker', hidden: true }));
}

function describeNoAgents() {
  return el('div', { class: 'none' },
    el('b', { text: 'No agent is installed.' }),
    el('span', { text: 'Make one, install it, and it appears here:' }),
    el('code', { text: 'openrtc new agent flower-shop' }),
    el('code', { text: 'pip install -e ./flower-shop' }));
}
