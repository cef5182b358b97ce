// The conversation as the page knows it: words come as transcripts and again, with figures, as items of the session.

import { measureTurn } from './latency.js';
import { ChatRole, textOf, ToolCallStatus } from './session-stream.js';

const REMEMBERED = 60; // words that may still meet their other half
const SAME_SECONDS = 15; // in which the same words are taken for the same

const normalise = (text) => text.normalize('NFKC').toLowerCase().replace(/[^\p{L}\p{N}]+/gu, ' ').trim();
const now = () => Date.now() / 1000;

/** Items are plain objects of a `kind`: words, tool, handoff, error, note. `onItem(item)` is told of each change. */
export class Conversation {
  #onItem;
  #recent = [];
  #bySegment = new Map();
  #byItemId = new Set();
  #tools = new Map();
  #userMetrics = new Map();
  #userTexts = [];

  constructor(onItem) {
    this.#onItem = onItem;
  }

  /** Words as they are transcribed; interim ones of a person replace each other. */
  hear({ segment, speaker, mine, text, isFinal }) {
    const key = `${speaker} ${segment}`;
    let item = this.#bySegment.get(key);
    if (!item) {
      if (!text.trim()) return;
      item = this.#find((one) => one.speaker === speaker && !one.heard && one.fromItem && meets(one.text, text));
      if (!item) item = this.#add({ kind: 'words', speaker, mine, text: '', open: true });
      item.heard = true;
      this.#bySegment.set(key, item);
    }
    if (!item.fromItem) item.text = text;
    item.open = !isFinal && !item.itemId;
    this.#onItem(item);
  }

  /** A line that is typed here: it waits until `send` has come back. */
  type(speaker, text) {
    return this.#add({ kind: 'words', speaker, mine: true, typed: true, waiting: true, text });
  }

  sent(item, error) {
    item.waiting = false;
    item.failed = error;
    this.#onItem(item);
  }

  /** An item of an agent's session. Returns the latency of the turn that it ends, if it ends one. */
  take(agent, item, caller, { old = false, isCast = false } = {}) {
    const { case: kind, value } = item?.item ?? {};
    if (!kind || this.#byItemId.has(`${agent} ${value.id}`)) return null;
    if (value.id) this.#byItemId.add(`${agent} ${value.id}`);
    if (kind === 'message') return this.#takeMessage(agent, value, caller, old, isCast);
    if (kind === 'functionCall') this.startTool(agent, value);
    if (kind === 'functionCallOutput') this.endTool(agent, value.callId, { output: value.output, isError: value.isError, name: value.name });
    if (kind === 'agentHandoff' && value.oldAgentId) this.#add({ kind: 'handoff', speaker: agent, from: value.oldAgentId, to: value.newAgentId });
    return null;
  }

  startTool(agent, { callId, name, arguments: given }) {
    const key = `${agent} ${callId}`;
    if (this.#tools.has(key)) return;
    this.#tools.set(key, this.#add({ kind: 'tool', speaker: agent, name, given, status: 'running', since: now() }));
  }

  tellTool(agent, callId, message) {
    const tool = this.#tools.get(`${agent} ${callId}`);
    if (tool) this.#onItem(Object.assign(tool, { progress: message }));
  }

  endTool(agent, callId, { output, isError, name, status }) {
    const key = `${agent} ${callId}`;
    if (!this.#tools.has(key)) this.startTool(agent, { callId, name: name ?? 'tool', arguments: '' });
    const tool = this.#tools.get(key);
    if (output !== undefined && output !== '') tool.output = output;
    if (status === ToolCallStatus.TC_CANCELLED) tool.status = 'cancelled';
    else if (isError || status === ToolCallStatus.TC_ERROR) tool.status = 'failed';
    else if (tool.status === 'running') tool.status = 'done';
    tool.seconds ??= now() - tool.since;
    this.#onItem(tool);
  }

  note(text, kind = 'note', speaker = '') {
    this.#add({ kind, text, speaker });
  }

  #takeMessage(agent, message, caller, old, isCast) {
    const text = textOf(message);
    if (message.role === ChatRole.USER) {
      this.#takeUser(agent, message, text, caller, old, isCast);
      return null;
    }
    if (message.role !== ChatRole.ASSISTANT) return null; // instructions
    const latency = old ? null : measureTurn(this.#userMetrics.get(agent), message.metrics);
    this.#userMetrics.delete(agent);
    let item = this.#find((one) => one.speaker === agent && one.heard && !one.itemId && meets(one.text, text));
    item ??= this.#find((one) => one.speaker === agent && one.heard && !one.itemId && now() - one.since < SAME_SECONDS);
    if (!item && !text.trim()) return null;
    item ??= this.#add({ kind: 'words', speaker: agent, text, fromItem: true, open: false });
    Object.assign(item, { itemId: message.id, open: false, interrupted: message.interrupted, latency });
    this.#onItem(item);
    return latency && { latency, text };
  }

  #takeUser(agent, message, text, caller, old, isCast) {
    if (message.metrics) this.#userMetrics.set(agent, message.metrics);
    const plain = normalise(text);
    if (!plain) return;
    const mine = this.#recent.filter((one) => one.mine && !one.itemId && plain.includes(normalise(one.text)));
    for (const item of mine) this.#onItem(Object.assign(item, { itemId: message.id, open: false }));
    const known = this.#userTexts.some((one) => one.plain === plain && (old || now() - one.at < SAME_SECONDS));
    this.#userTexts.push({ plain, at: now() });
    this.#userTexts.splice(0, this.#userTexts.length - REMEMBERED);
    // In a cast, members read as a person's what others have said.
    if (mine.length || known || (isCast && this.#isSaid(plain))) return;
    this.#add({ kind: 'words', speaker: caller, mine: true, text, fromItem: true, itemId: message.id });
  }

  #isSaid(plain) {
    return this.#recent.some((one) => one.kind === 'words' && (plain.includes(normalise(one.text)) || meets(one.text, plain)));
  }

  #find(holds) {
    return this.#recent.find((one) => one.kind === 'words' && holds(one));
  }

  #add(item) {
    Object.assign(item, { since: now() });
    this.#recent.push(item);
    if (this.#recent.length > REMEMBERED) this.#recent.shift();
    this.#onItem(item);
    return item;
  }
}

function meets(one, other) {
  const [left, right] = [normalise(one), normalise(other)];
  return left !== '' && right !== '' && (left.startsWith(right) || right.startsWith(left));
}
