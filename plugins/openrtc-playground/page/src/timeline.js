// The conversation as it is seen: one element for each item, changed in place.

import { byId, el, formatSeconds, setText, show, shorten } from './dom.js';
import { describeBar } from './latency-view.js';

const NEAR_PX = 80; // so near to its end, it follows what is new
const MOST_SHOWN = 2000;
const FOLLOW_MS = 50;

export class Timeline {
  #list = byId('timeline');
  #scroll = byId('scroll');
  #nodes = new Map();
  #following = true;
  #timer = null;
  #nameOf;

  /** `nameOf(identity)` returns {name, number} of whoever speaks; number is -1 for people. */
  constructor(nameOf) {
    this.#nameOf = nameOf;
    this.#scroll.addEventListener('scroll', () => {
      this.#following = this.#isAtEnd();
      if (this.#following) show(byId('latest'), false);
    });
    byId('latest').addEventListener('click', () => this.#toEnd());
  }

  clear() {
    this.#nodes.clear();
    this.#list.replaceChildren();
    this.#following = true;
    show(byId('latest'), false);
  }

  get isEmpty() {
    return this.#nodes.size === 0;
  }

  update(item) {
    let node = this.#nodes.get(item);
    if (!node) {
      node = build(item);
      this.#nodes.set(item, node);
      this.#list.append(node.root);
      this.#dropOldest();
    }
    const { name, number } = item.speaker ? this.#nameOf(item.speaker) : { name: '', number: -1 };
    node.root.dataset.speaker = String(item.mine ? -1 : number % 6);
    node.root.style.setProperty('--lane', String(item.mine || number < 0 ? 1 : number + 2));
    node.update(item, item.mine ? name || 'You' : name);
    this.#follow();
  }

  #dropOldest() {
    if (this.#nodes.size <= MOST_SHOWN) return;
    const [oldest, node] = this.#nodes.entries().next().value;
    node.root.remove();
    this.#nodes.delete(oldest);
  }

  #isAtEnd() {
    return this.#scroll.scrollHeight - this.#scroll.scrollTop - this.#scroll.clientHeight < NEAR_PX;
  }

  #follow() {
    if (this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.#following) this.#toEnd();
      else show(byId('latest'), true);
    }, FOLLOW_MS);
  }

  #toEnd() {
    this.#following = true;
    this.#scroll.scrollTop = this.#scroll.scrollHeight;
    show(byId('latest'), false);
  }
}

const build = (item) => ({ words: buildWords, tool: buildTool, handoff: buildHandoff }[item.kind] ?? buildNote)(item);

function buildWords(item) {
  const name = el('span', { class: 'name', dir: 'auto' });
  const aside = el('span', { class: 'aside' });
  const text = el('p', { class: 'text', dir: 'auto' });
  const foot = el('div', { class: 'foot' });
  const root = el('li', { class: `words ${item.mine ? 'mine' : 'theirs'}` }, el('div', { class: 'meta' }, name, aside), text, foot);
  let drawn = null;
  const update = (now, who) => {
    setText(name, who);
    setText(text, now.text);
    const state = now.failed || (now.waiting ? 'waits until the agent listens' : now.interrupted ? 'interrupted' : now.typed ? 'typed' : '');
    setText(aside, state);
    root.classList.toggle('open', Boolean(now.open));
    root.classList.toggle('waits', Boolean(now.waiting));
    root.classList.toggle('failed', Boolean(now.failed));
    if (now.latency && drawn !== now.latency) {
      drawn = now.latency;
      foot.replaceChildren(describeBar(now.latency));
    }
  };
  return { root, update };
}

function buildTool(item) {
  const state = el('span', { class: 'tool-state' });
  const by = el('span', { class: 'quiet', dir: 'auto' });
  const given = el('code', { dir: 'auto' });
  const progress = el('span', { class: 'quiet', dir: 'auto' });
  const output = el('code', { dir: 'auto' });
  const labelled = (word, node) => el('div', { class: 'tool-line' }, el('span', { class: 'quiet', text: word }), node);
  const [givenLine, outputLine] = [labelled('given', given), labelled('result', output)];
  const root = el('li', { class: 'tool' }, el('div', { class: 'tool-head' }, el('b', { dir: 'auto', text: shorten(item.name, 200) }), by, state), givenLine, progress, outputLine);
  const update = (now, who) => {
    setText(by, who);
    const took = now.seconds === undefined ? '' : ` in ${formatSeconds(now.seconds)}`;
    setText(state, { running: 'running…', done: `done${took}`, failed: `failed${took}`, cancelled: 'cancelled' }[now.status]);
    root.dataset.status = now.status;
    setText(given, readable(now.given));
    setText(output, readable(now.output ?? ''));
    setText(progress, now.status === 'running' ? (now.progress ?? '') : '');
    show(givenLine, given.textContent !== '');
    show(outputLine, output.textContent !== '');
    show(progress, progress.textContent !== '');
  };
  return { root, update };
}

function buildHandoff() {
  const text = el('span', { dir: 'auto' });
  const update = (now) => setText(text, `${now.from} hands over to ${now.to}`);
  return { root: el('li', { class: 'handoff' }, text), update };
}

function buildNote(item) {
  const text = el('span', { dir: 'auto' });
  const update = (now, who) => setText(text, who && now.kind === 'error' ? `${who}: ${now.text}` : now.text);
  return { root: el('li', { class: item.kind === 'error' ? 'note error' : 'note' }, text), update };
}

/** Arguments are JSON in a string: `{"order_number": 7}` is shown as `order_number: 7`. */
function readable(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return text;
  }
  if (typeof value === 'string') return value;
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return text;
  return Object.entries(value).map(([name, one]) => `${name}: ${typeof one === 'string' ? one : JSON.stringify(one)}`).join('\n');
}
