// Beside the conversation: why this agent, its tools and instructions, usage, and the events of the session.

import { byId, el, renderIfChanged, setText, show, shorten } from './dom.js';

const MOST_EVENTS = 200;
const UNTOLD = new Set(['sessionUsageUpdated']); // twice a second, and mostly the same

export function renderWhy(call, found) {
  const lines = [];
  if (found) {
    if (found.reason || found.rule) lines.push(['Chosen', found.reason || found.rule]);
    if (found.rule && found.reason) lines.push(['Rule', found.rule]);
    if (found.agent) lines.push(['Agent', found.agent]);
    if (found.distribution) lines.push(['From', found.distribution]);
    if (found.job) lines.push(['Job', found.job]);
  }
  if (call?.room) lines.push(['Room', call.room]);
  renderIfChanged(byId('why'), lines, () => (lines.length ? [describe(lines)] : [quiet('In a call: which rule of the routing chose the agent, and why.')]));
}

export function renderAgents(call) {
  const agents = call ? [...call.agents.values()] : [];
  const key = agents.map(({ identity, name, tools, instructions, agentId }) => [identity, name, tools, instructions, agentId]);
  renderIfChanged(byId('agent'), [key, agents.length], () => {
    const known = agents.filter((one) => one.tools);
    if (!known.length) return [quiet('In a call: what the agent may call, and what it was told.')];
    return known.flatMap((one) => [
      ...(known.length > 1 || one.agentId !== one.name ? [el('h3', { dir: 'auto', text: known.length > 1 ? `${one.name} (${one.agentId})` : one.agentId })] : []),
      one.tools.length ? el('ul', { class: 'tools' }, ...one.tools.map((tool) => el('li', {}, el('code', { text: shorten(tool, 200) })))) : quiet('It has no tools.'),
      ...(one.instructions ? [el('details', { class: 'told' }, el('summary', { text: 'Instructions' }), el('p', { class: 'text', dir: 'auto', text: one.instructions }))] : []),
    ]);
  });
}

export function renderUsage(call) {
  const rows = (call ? [...call.agents.values()] : []).flatMap((agent) => (agent.usage ?? []).map(({ usage }) => readUsage(agent, usage)).filter(Boolean));
  const many = (call?.agents.size ?? 0) > 1;
  renderIfChanged(byId('usage'), [rows, many], () => {
    if (!rows.length) return [quiet('In a call: what the models have used.')];
    return [el('ul', { class: 'usage' }, ...rows.map(({ who, kind, model, used }) => el('li', {},
      el('b', { text: kind }), el('span', { class: 'quiet', dir: 'auto', text: many ? `${model} · ${who}` : model }), el('span', { text: used }))))];
  });
}

export function renderDegraded(call) {
  const off = call ? [...call.agents.values()].filter((one) => one.session === 'off') : [];
  const why = off.find((one) => one.why)?.why;
  setText(byId('degraded'), off.length ? `Only words and states are shown: ${why || 'the agent does not answer on the session stream'}. Tools, latency and usage need the session stream: [worker] session_host = "operators", and profile = "standard".` : '');
  show(byId('degraded'), off.length > 0);
}

export class EventList {
  #count = 0;

  clear() {
    this.#count = 0;
    byId('events').replaceChildren();
    setText(byId('event-count'), '0');
  }

  add(agent, name, event) {
    if (UNTOLD.has(name)) return;
    setText(byId('event-count'), String(++this.#count));
    const content = event.toJson();
    delete content.createdAt;
    const list = byId('events');
    const time = new Date().toTimeString().slice(0, 8);
    list.prepend(el('li', {}, el('span', { class: 'quiet', text: `${time} ${agent.name}` }), el('b', { text: name }), el('code', { dir: 'auto', text: shorten(JSON.stringify(Object.values(content)[0] ?? {}), 600) })));
    if (list.childElementCount > MOST_EVENTS) list.lastChild.remove();
  }
}

function readUsage(agent, { case: kind, value }) {
  if (!value) return null;
  const parts = {
    llm: () => [[value.inputTokens, 'tokens in'], [value.inputCachedTokens, 'of them cached'], [value.outputTokens, 'tokens out']],
    tts: () => [[value.charactersCount, 'characters'], [Math.round(value.audioDuration * 10) / 10, 's of speech'], [value.outputTokens, 'tokens out']],
    stt: () => [[Math.round(value.audioDuration * 10) / 10, 's heard'], [value.inputTokens, 'tokens in'], [value.outputTokens, 'tokens out']],
  }[kind] ?? (() => [[value.totalRequests, 'requests']]);
  const used = parts().filter(([amount]) => amount > 0).map(([amount, unit]) => `${amount.toLocaleString('en')} ${unit}`).join(', ');
  const names = { llm: 'LLM', tts: 'TTS', stt: 'STT', eot: 'End of turn', interruption: 'Interruption' };
  return used ? { who: agent.name, kind: names[kind] ?? kind, model: [value.provider, value.model].filter(Boolean).join(' '), used } : null;
}

const quiet = (text) => el('p', { class: 'quiet', text });
const describe = (lines) => el('dl', { class: 'lines' }, ...lines.map(([name, text]) => el('div', {}, el('dt', { text: name }), el('dd', { dir: 'auto', text: shorten(text, 600) }))));
