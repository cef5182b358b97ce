// Puts the page together: one call at a time, drawn when something has changed.

import { hasKey, listAgents, listCalls } from './api.js';
import { Call } from './call.js';
import { renderCalls } from './calls-list.js';
import { byId, el, renderIfChanged, setText, show } from './dom.js';
import { EventList, renderAgents, renderDegraded, renderUsage, renderWhy } from './inspector.js';
import { LatencyView } from './latency-view.js';
import { dismiss, notify } from './notices.js';
import { Picker, ROUTED } from './picker.js';
import { renderClock, renderControls, renderLevel, renderStage, stateOf, wordFor } from './stage.js';
import { Timeline } from './timeline.js';

const ASK_SECONDS = 2;
const ASK_SOON_SECONDS = 0.5; // while the worker starts
const DRAW_MS = 30;

let call = null;
let asked = '';
let calls = [];
let agents = null;
let announced = '';
let drawing = null;

const nameOf = (identity) => {
  const agent = call?.agents.get(identity);
  if (agent) return { name: agent.name, number: agent.number };
  return { name: call?.watching ? 'Caller' : 'You', number: -1 };
};
const timeline = new Timeline(nameOf);
const latency = new LatencyView();
const events = new EventList();
const picker = new Picker(drawSoon);

function drawSoon() {
  drawing ??= setTimeout(draw, DRAW_MS);
}

function draw() {
  drawing = null;
  renderStage(call, asked);
  renderControls(call);
  renderAgents(call);
  renderUsage(call);
  renderDegraded(call);
  renderWhy(call, call?.room && calls.find((one) => one.room === call.room));
  renderCalls(calls, call?.live ? call.room : '', watch);
  renderEmpty();
  if (!call?.live) byId('call').disabled = !picker.wish || !agents;
  const state = stateOf(call);
  // Once a call: later it would drown what was said before it.
  const isFirst = state === 'listening' && !call.heard;
  if (isFirst) call.heard = true;
  if (state !== announced && (isFirst || ['waiting', 'reconnecting', 'ended'].includes(state))) announce(state === 'ended' ? call.ended || wordFor(state) : wordFor(state));
  announced = state;
}

function announce(text) {
  setText(byId('announce'), text);
}

function renderEmpty() {
  show(byId('empty'), timeline.isEmpty);
  const state = stateOf(call);
  const [title, text] = !hasKey ? ['This address has no key', 'Open the address that openrtc has printed in its terminal: it ends with ?key=…']
    : state === 'none' ? (picker.isEmpty ? ['No agent is installed', 'Beside this it says how to make the first one.'] : ['Talk to an agent', 'Choose one, and call. Ask by voice or in writing: words, tools and times appear here.'])
      : state === 'ended' ? ['The call is over', 'Nothing was said.']
        : call?.watching ? ['You are watching', 'Nobody in the call sees you. What is said from now on appears here.']
          : state === 'waiting' || state === 'connecting' ? [wordFor(state), 'What you type meanwhile is sent as soon as the agent listens.']
            : state === 'microphone' ? ['May the page hear you?', 'The browser asks for your microphone. Without it, the call is held in text.']
              : [wordFor(state), call?.text ? 'Type below, and press Enter.' : 'Say something, or type below.'];
  renderIfChanged(byId('empty'), [title, text], () => [el('h3', { text: title }), el('p', { text })]);
}

function newCall(name) {
  timeline.clear();
  latency.clear();
  events.clear();
  dismiss('call');
  asked = name;
  const made = new Call({
    onChange: drawSoon,
    onItem: (item) => {
      if (made !== call) return;
      timeline.update(item);
      if (item.kind === 'words' && !item.open && !item.told && !item.mine) {
        item.told = made.heard = true;
        announce(`${nameOf(item.speaker).name}: ${item.text.slice(0, 300)}`);
      }
      drawSoon();
    },
    onLatency: (agent, turn) => made === call && latency.add(agent.name, turn),
    onEvent: (agent, name_, event) => made === call && events.add(agent, name_, event),
    onNotice: (notice) => made === call && notify('call', notice),
    onLevel: (identity, level) => made === call && renderLevel(made, identity, level),
    onSpeakers: () => {},
  });
  call = made;
  goTo('talk');
  return made;
}

async function start() {
  const wish = picker.wish;
  if (!wish || call?.live) return;
  const made = newCall('name' in wish ? wish.name || 'a LiveKit worker' : wish.agent === ROUTED ? 'an agent that the routing chooses' : wish.agent);
  const started = made.start(wish);
  draw();
  byId('line').focus({ preventScroll: true });
  await started;
  askCalls();
}

async function watch(room, agent) {
  if (call?.live) await call.end();
  const made = newCall(agent || room);
  const started = made.watch(room);
  draw();
  await started;
}

function hangUp() {
  call?.end('You have hung up.');
  byId('call').focus({ preventScroll: true });
}

function goTo(view) {
  document.body.dataset.view = view;
  for (const button of document.querySelectorAll('[data-to]')) button.setAttribute('aria-pressed', String(button.dataset.to === view));
}

function describeWorker({ worker }) {
  if (!worker.found) return { level: 'warning', word: 'No worker on this machine' };
  if (worker.state !== 'ready') return { level: 'warning', word: `The worker: ${worker.state}` };
  return { level: 'good', word: 'The worker is ready' };
}

async function askAgents() {
  let soon = false;
  try {
    agents = await listAgents();
    dismiss('server');
    picker.take(agents);
    const { level, word } = describeWorker(agents);
    tellWorker(word, level, agents.server);
    soon = agents.worker.state !== 'ready';
    if (!agents.worker.found && !call?.live) {
      notify('worker', { level: 'warning', text: 'No worker runs on this machine.', fix: 'Start one in another terminal: openrtc dev. A worker elsewhere on the same server may still answer.' });
    } else dismiss('worker');
  } catch (error) {
    agents = null;
    tellServer(error);
  }
  drawSoon();
  setTimeout(askAgents, 1000 * (soon ? ASK_SOON_SECONDS : ASK_SECONDS));
}

async function askCalls() {
  try {
    calls = (await listCalls()).calls;
    dismiss('calls');
  } catch (error) {
    calls = [];
    if (error.status >= 500) notify('calls', { text: error.message, fix: error.fix });
  }
  drawSoon();
}

function tellServer(error) {
  notify('server', { text: error.message, fix: error.fix });
  tellWorker('Not connected', 'bad', '');
}

function tellWorker(word, level, server) {
  setText(byId('worker'), word);
  setText(byId('server'), server);
  byId('worker').parentElement.dataset.level = level;
}

byId('pick').addEventListener('submit', (event) => {
  event.preventDefault();
  start();
});
byId('pick').addEventListener('change', drawSoon);
byId('say').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = byId('line').value.trim();
  if (!text || !call?.live || call.watching) return;
  byId('line').value = '';
  call.say(text);
});
byId('hang').addEventListener('click', hangUp);
byId('mute').addEventListener('click', () => (call.watching ? call.listenIn(!call.hears) : call.mute(!call.muted)));
byId('sound').addEventListener('click', () => call.play());
for (const button of document.querySelectorAll('[data-to]')) button.addEventListener('click', () => goTo(button.dataset.to));
document.addEventListener('keydown', (event) => {
  if (!event.altKey || event.ctrlKey || event.metaKey) return;
  const act = {
    KeyC: () => (call?.live ? hangUp() : start()),
    KeyM: () => !byId('mute').hidden && byId('mute').click(),
    KeyT: () => {
      goTo('talk');
      byId('line').focus();
    },
  }[event.code];
  if (act) {
    event.preventDefault();
    act();
  }
});

setInterval(() => renderClock(call), 500);
goTo('agents');
draw();
if (hasKey) {
  askAgents();
  askCalls();
  setInterval(() => document.hidden || askCalls(), 1000 * ASK_SECONDS);
} else {
  tellServer({ message: 'This address has no key.', fix: 'Open the one that openrtc has printed in its terminal: each start has its own.' });
}
