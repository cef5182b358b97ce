// One call in one room: who is there, what is heard and typed, and what the agents' sessions tell.

import { ConnectionError, createLocalAudioTrack, DisconnectReason, ParticipantKind, Room, RoomEvent, Track } from 'livekit-client';

import { createToken, createWatchToken, listCalls } from './api.js';
import { Conversation } from './conversation.js';
import { watchLevel } from './meter.js';
import { AgentState, RefusedError, SessionStream } from './session-stream.js';

const AGENT_SECONDS = 8; // after which it is told that no agent has come
const PING_SECONDS = 5; // a watcher is sent events for 10 s after a request
const READY_SECONDS = 6; // an agent is in the room before its session takes requests
const STATES = { [AgentState.AS_INITIALIZING]: 'initializing', [AgentState.AS_IDLE]: 'idle', [AgentState.AS_LISTENING]: 'listening', [AgentState.AS_THINKING]: 'thinking', [AgentState.AS_SPEAKING]: 'speaking' };
const ENDS = {
  [DisconnectReason.SERVER_SHUTDOWN]: 'The LiveKit server was stopped.',
  [DisconnectReason.PARTICIPANT_REMOVED]: 'Somebody removed you from the call.',
  [DisconnectReason.ROOM_DELETED]: 'The agent has ended the call.',
  [DisconnectReason.ROOM_CLOSED]: 'The call is over.',
  [DisconnectReason.DUPLICATE_IDENTITY]: 'Somebody else joined with the same name.',
};
const SERVER_GONE = ['The LiveKit server is gone.', 'Look at the terminal in which it runs; then call again.'];

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

export class Call {
  state = 'idle'; // idle, microphone, connecting, live, reconnecting, ended
  agents = new Map(); // by identity: {identity, name, role, agent, state, session, tools, instructions, level, …}
  room = null;
  #livekit = null;
  #stream = null;
  #microphone = null;
  #waiting = []; // what was typed before an agent listened
  #stops = new Set();
  #changed;
  #view;

  /** `view` has onChange(), onItem(item), onLatency(agent, latency), onEvent(…), onNotice(notice), onLevel(who, level). */
  constructor(view) {
    this.#view = view;
    this.conversation = new Conversation((item) => view.onItem(item));
    this.#changed = () => view.onChange();
  }

  get live() {
    return !['idle', 'ended'].includes(this.state);
  }

  get muted() {
    return Boolean(this.#microphone?.isMuted);
  }

  get listening() {
    return [...this.agents.values()].some((agent) => agent.state && agent.state !== 'initializing');
  }

  get canPlay() {
    return this.#livekit?.canPlaybackAudio ?? true;
  }

  /** Call an agent. `wish` is what the token is asked for: agent, text, and name for a worker of LiveKit's own kind. */
  async start(wish) {
    this.stock = 'name' in wish;
    this.text = wish.text;
    try {
      if (!this.text) await this.#openMicrophone();
      if (this.state === 'ended') return;
      this.#to('connecting');
      await this.#join(await createToken({ ...wish, text: this.text }));
      if (this.#microphone && this.live) await this.#livekit.localParticipant.publishTrack(this.#microphone, { source: Track.Source.Microphone });
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Look at a call that goes on, seen by nobody. */
  async watch(room) {
    this.watching = true;
    this.text = true;
    try {
      this.#to('connecting');
      await this.#join(await createWatchToken(room));
    } catch (error) {
      this.#fail(error);
    }
  }

  async end(reason = '') {
    if (!this.live) return;
    this.ended = reason;
    this.#to('ended');
    this.#close();
    await this.#livekit?.disconnect();
  }

  /** Whether the agents of a watched call are heard. */
  listenIn(on) {
    this.hears = on;
    for (const participant of this.#livekit.remoteParticipants.values()) {
      for (const publication of participant.audioTrackPublications.values()) publication.setSubscribed(on);
    }
    this.#changed();
  }

  async mute(muted) {
    if (!this.#microphone) return;
    await (muted ? this.#microphone.mute() : this.#microphone.unmute());
    this.#changed();
  }

  play() {
    return this.#livekit?.startAudio();
  }

  say(text) {
    const item = this.conversation.type(this.me, text);
    this.#waiting.push({ item, text });
    this.#sendWaiting();
  }

  async #openMicrophone() {
    this.#to('microphone');
    try {
      if (!navigator.mediaDevices?.getUserMedia) throw new DOMException('this browser offers none', 'NotFoundError');
      this.#microphone = await createLocalAudioTrack({ echoCancellation: true, noiseSuppression: true, autoGainControl: true });
      if (this.state === 'ended') this.#microphone.stop();
      else this.#stops.add(watchLevel(this.#microphone.mediaStreamTrack, (level) => this.#view.onLevel('', level)));
    } catch (error) {
      this.text = true;
      this.#view.onNotice(explainMicrophone(error));
    }
  }

  async #join(token) {
    const livekit = new Room({ adaptiveStream: false, dynacast: false });
    this.#livekit = livekit;
    this.me = token.identity;
    this.room = token.room;
    this.#stream = new SessionStream(livekit, (...event) => this.#onSessionEvent(...event));
    livekit.registerTextStreamHandler('lk.transcription', (reader, sender) => this.#onTranscription(reader, sender.identity).catch(() => {}));
    livekit
      .on(RoomEvent.ParticipantConnected, (participant) => this.#meet(participant))
      .on(RoomEvent.ParticipantDisconnected, (participant) => this.#miss(participant))
      .on(RoomEvent.ParticipantAttributesChanged, (_, participant) => this.#meet(participant))
      .on(RoomEvent.ActiveSpeakersChanged, (speakers) => this.#view.onSpeakers(new Set(speakers.map((one) => one.identity))))
      .on(RoomEvent.TrackSubscribed, (track, _, participant) => this.#onTrack(track, participant))
      .on(RoomEvent.TrackPublished, (publication) => this.hears && publication.setSubscribed(true))
      .on(RoomEvent.AudioPlaybackStatusChanged, this.#changed)
      .on(RoomEvent.Reconnecting, () => this.live && this.#to('reconnecting'))
      .on(RoomEvent.SignalReconnecting, () => this.live && this.#to('reconnecting'))
      .on(RoomEvent.Reconnected, () => this.live && this.#to('live'))
      .on(RoomEvent.Disconnected, (reason) => this.#onDisconnected(reason));
    await livekit.connect(token.url, token.token, { autoSubscribe: !this.text });
    if (this.state === 'ended') return livekit.disconnect();
    this.began = Date.now();
    performance.mark('openrtc:joined');
    this.#to('live');
    for (const participant of livekit.remoteParticipants.values()) this.#meet(participant);
    this.#explainLater();
    if (this.watching) this.#keepAsking();
  }

  #meet(participant) {
    const { identity, kind, attributes } = participant;
    if (kind !== ParticipantKind.AGENT) {
      if (this.watching && !this.caller) this.caller = identity;
      return;
    }
    let agent = this.agents.get(identity);
    if (!agent) {
      agent = { identity, number: this.agents.size, session: 'asking', tools: null, state: '' };
      this.agents.set(identity, agent);
      this.#openSession(agent);
    }
    agent.gone = false;
    agent.agent = attributes['openrtc.agent'] || attributes['lk.agent.name'] || '';
    agent.role = attributes['openrtc.role'] ?? '';
    agent.name = participant.name || agent.agent || 'Agent';
    this.#setState(agent, attributes['lk.agent.state'] ?? agent.state);
  }

  #setState(agent, state) {
    agent.state = state;
    if (state === 'listening') performance.mark('openrtc:listening');
    this.#changed();
    this.#sendWaiting();
  }

  #miss({ identity }) {
    const agent = this.agents.get(identity);
    if (!agent) return;
    agent.gone = true;
    agent.state = 'left';
    agent.speaking = false;
    this.#changed();
    if (this.live && [...this.agents.values()].every((one) => one.gone)) {
      this.conversation.note(`${agent.name} has left the call.`, 'note');
    }
  }

  async #openSession(agent) {
    const until = Date.now() + READY_SECONDS * 1000;
    for (;;) {
      try {
        await this.#stream.ask(agent.identity, 'ping', {}, 1);
        break;
      } catch (error) {
        if (!this.live) return;
        if (error instanceof RefusedError || Date.now() > until) {
          agent.session = 'off';
          agent.why = error instanceof RefusedError ? error.message : '';
          this.#changed();
          return;
        }
        await sleep(0.25);
      }
    }
    agent.session = 'on';
    this.#changed();
    if (this.stock && this.text && !this.watching) await this.#silence(agent);
    await Promise.allSettled([this.#readAgent(agent), this.#readHistory(agent), this.#readUsage(agent)]);
  }

  /** A worker of LiveKit's own kind knows nothing of text-only calls, and waits for somebody who listens. */
  async #silence(agent) {
    try {
      await this.#stream.ask(agent.identity, 'updateIo', { input: { audioEnabled: false }, output: { audioEnabled: false } });
    } catch {
      this.conversation.note('The agent waits for somebody who listens: it may not answer what is typed.', 'error', agent.identity);
    }
  }

  async #readAgent(agent) {
    const info = await this.#stream.ask(agent.identity, 'getAgentInfo');
    Object.assign(agent, { agentId: info.id, tools: info.tools, instructions: info.instructions ?? '' });
    this.#changed();
  }

  async #readHistory(agent) {
    const { items } = await this.#stream.ask(agent.identity, 'getChatHistory');
    for (const item of items) this.#takeItem(agent.identity, item, true);
  }

  async #readUsage(agent) {
    const { usage } = await this.#stream.ask(agent.identity, 'getSessionUsage');
    agent.usage = usage?.modelUsage ?? [];
    this.#changed();
  }

  #takeItem(identity, item, old = false) {
    const done = this.conversation.take(identity, item, this.caller ?? this.me, { old, isCast: this.agents.size > 1 });
    if (done) this.#view.onLatency(this.agents.get(identity), done);
    if (item?.item.case === 'agentHandoff' && !old) this.#readAgent(this.agents.get(identity)).catch(() => {});
  }

  #onSessionEvent(identity, name, value, event) {
    const agent = this.agents.get(identity);
    if (!agent) return;
    if (name === 'conversationItemAdded') this.#takeItem(identity, value.item);
    if (name === 'toolExecutionUpdated') {
      const { case: step, value: update } = value.update;
      if (step === 'started') this.conversation.startTool(identity, update.functionCall);
      if (step === 'callUpdated') this.conversation.tellTool(identity, update.callId, update.message);
      if (step === 'ended') this.conversation.endTool(identity, update.callId, { output: update.message, status: update.status });
    }
    if (name === 'functionToolsExecuted') {
      for (const call of value.functionCalls) this.conversation.startTool(identity, call);
      for (const done of value.functionCallOutputs) this.conversation.endTool(identity, done.callId, done);
    }
    if (name === 'error') this.conversation.note(value.message, 'error', identity);
    if (name === 'agentStateChanged' && STATES[value.newState] !== agent.state) this.#setState(agent, STATES[value.newState]);
    if (name === 'sessionUsageUpdated' && value.usage) {
      agent.usage = value.usage.modelUsage;
      this.#changed();
    }
    this.#view.onEvent(agent, name, event);
  }

  async #onTranscription(reader, speaker) {
    const { 'lk.segment_id': segment = reader.info.id, 'lk.transcription_final': final } = reader.info.attributes ?? {};
    const mine = !this.agents.has(speaker);
    if (mine && this.watching) this.caller ??= speaker;
    const heard = { segment, speaker, mine, text: '' };
    try {
      for await (const part of reader) this.conversation.hear(Object.assign(heard, { text: heard.text + part, isFinal: false }));
    } finally {
      this.conversation.hear({ ...heard, isFinal: final === 'true' || !mine });
    }
  }

  async #sendWaiting() {
    if (!this.listening || this.sending || this.state !== 'live') return;
    this.sending = true;
    while (this.#waiting.length && this.live) {
      const { item, text } = this.#waiting.shift();
      try {
        await this.#livekit.localParticipant.sendText(text, { topic: 'lk.chat' });
        performance.mark('openrtc:sent');
        this.conversation.sent(item);
      } catch {
        this.conversation.sent(item, 'not sent: the connection is lost');
      }
    }
    this.sending = false;
  }

  #onTrack(track, { identity }) {
    if (track.kind !== Track.Kind.Audio) return;
    const player = track.attach();
    document.body.append(player);
    const stop = watchLevel(track.mediaStreamTrack, (level) => this.#view.onLevel(identity, level), 'first-sound');
    this.#stops.add(() => {
      stop();
      player.remove();
    });
  }

  /** Where no agent comes, look into what the worker tells of it. */
  async #explainLater() {
    await sleep(AGENT_SECONDS);
    if (this.state !== 'live' || this.agents.size) return;
    const { rejected = [], failed = [] } = await listCalls().catch(() => ({}));
    if (this.state !== 'live' || this.agents.size) return;
    const told = [...rejected, ...failed].find((one) => one.room === this.room);
    this.#view.onNotice({
      level: 'error',
      text: told ? `No agent comes: ${told.reason ?? told.error}` : `No agent has come for ${AGENT_SECONDS} s.`,
      fix: this.stock ? 'Is that worker running, on this server, and under this name?' : 'Look at the terminal of the worker, and run “openrtc doctor”: it says what is wrong.',
    });
  }

  async #keepAsking() {
    while (this.live) {
      await sleep(PING_SECONDS);
      for (const agent of this.agents.values()) {
        if (this.live && agent.session === 'on' && !agent.gone) await this.#stream.ask(agent.identity, 'ping', {}, 2).catch(() => {});
      }
    }
  }

  #onDisconnected(reason) {
    if (!this.live) return;
    if (this.state === 'connecting') return; // `connect` raises
    const told = ENDS[reason];
    this.ended = told ?? SERVER_GONE[0];
    this.#to('ended');
    this.#close();
    if (reason !== DisconnectReason.ROOM_DELETED && reason !== DisconnectReason.ROOM_CLOSED) {
      this.#view.onNotice({ level: 'error', text: this.ended, fix: told && reason !== DisconnectReason.SERVER_SHUTDOWN ? '' : SERVER_GONE[1] });
    }
  }

  #fail(error) {
    if (this.state === 'ended') return;
    const notice = error instanceof ConnectionError ? explainConnection(error) : { level: 'error', text: error.message, fix: error.fix ?? '' };
    this.ended = notice.text;
    this.#to('ended');
    this.#close();
    this.#livekit?.disconnect().catch(() => {});
    this.#view.onNotice(notice);
  }

  #close() {
    this.#microphone?.stop();
    for (const stop of this.#stops) stop();
    this.#stops.clear();
    for (const { item } of this.#waiting.splice(0)) this.conversation.sent(item, 'not sent: the call is over');
    for (const agent of this.agents.values()) Object.assign(agent, { state: 'left', gone: true });
    this.#changed();
  }

  #to(state) {
    this.state = state;
    this.#changed();
    this.#sendWaiting();
  }
}

function explainMicrophone({ name, message }) {
  const goOn = 'The call is held in text meanwhile: type below.';
  const [text, fix] = {
    NotAllowedError: ['The microphone was refused.', `Allow it at the left of the address bar, and call again. ${goOn}`],
    NotFoundError: ['No microphone was found.', `Connect one, and call again. ${goOn}`],
    NotReadableError: ['The microphone cannot be opened: another program may be using it.', `Close that, and call again. ${goOn}`],
  }[name] ?? [`The microphone cannot be opened: ${message}`, goOn];
  return { level: 'warning', text, fix };
}

function explainConnection(error) {
  if (error.status === 401 || error.status === 403) {
    return { level: 'error', text: 'The LiveKit server refuses the token: it is too old, or the key and secret are another server’s.', fix: 'Call again; if that does not help, compare LIVEKIT_API_KEY and LIVEKIT_API_SECRET with the server’s.' };
  }
  return { level: 'error', text: `The LiveKit server cannot be reached: ${error.message}`, fix: 'Is it running? “openrtc doctor” looks at it.' };
}
