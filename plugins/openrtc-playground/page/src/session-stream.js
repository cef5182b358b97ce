// LiveKit's own session stream: byte streams on one topic, each a protobuf message.

import { AgentSession } from '@livekit/protocol';

const { AgentSessionMessage } = AgentSession;
const TOPIC = 'lk.agent.session';
const ANSWER_SECONDS = 5;

export const { AgentState, ChatRole, ToolCallStatus } = AgentSession;

/** The agent answers that it may not be looked into. */
export class RefusedError extends Error {}

export class SessionStream {
  #room;
  #waiting = new Map();
  #count = 0;

  /** `onEvent(identity, name, value, event)` is called for each event of an agent's session. */
  constructor(room, onEvent) {
    this.#room = room;
    room.registerByteStreamHandler(TOPIC, async (reader, sender) => {
      try {
        this.#take(sender.identity, AgentSessionMessage.fromBinary(join(await reader.readAll())), onEvent);
      } catch (error) {
        console.debug('session stream', error); // it was cut off, or is of a protocol to come
      }
    });
  }

  /** Send a request to an agent, and return the value of its answer. */
  async ask(identity, request, value = {}, seconds = ANSWER_SECONDS) {
    const requestId = `page-${++this.#count}`;
    const message = new AgentSessionMessage({ message: { case: 'request', value: { requestId, request: { case: request, value } } } });
    const answer = new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(requestId);
        reject(new Error(`no answer to ${request}`));
      }, seconds * 1000);
      this.#waiting.set(requestId, (response) => {
        clearTimeout(timer);
        if (response.error) reject(new RefusedError(response.error));
        else resolve(response.response.value);
      });
    });
    answer.catch(() => {}); // it may come to nothing before the stream below is written
    const writer = await this.#room.localParticipant.streamBytes({ name: requestId, topic: TOPIC, destinationIdentities: [identity] });
    await writer.write(message.toBinary());
    await writer.close();
    return answer;
  }

  #take(identity, { message }, onEvent) {
    if (message.case === 'response') {
      const done = this.#waiting.get(message.value.requestId);
      this.#waiting.delete(message.value.requestId);
      done?.(message.value);
    } else if (message.case === 'event' && message.value.event.case) {
      onEvent(identity, message.value.event.case, message.value.event.value, message.value);
    }
  }
}

export const textOf = (message) => message.content.map((part) => (part.payload.case === 'text' ? part.payload.value : '')).join('\n');

function join(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
