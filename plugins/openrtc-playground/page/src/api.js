// What the page asks of `openrtc playground`, with the key of the address that it was opened with.

const key = new URLSearchParams(location.search).get('key') ?? '';

export const hasKey = key !== '';

export class ApiError extends Error {
  constructor(message, fix = '', status = 0) {
    super(message);
    this.fix = fix;
    this.status = status;
  }
}

async function ask(path, body) {
  const headers = { 'X-OpenRTC-Key': key };
  if (body) headers['Content-Type'] = 'application/json';
  let answer;
  try {
    answer = await fetch(path, { method: body ? 'POST' : 'GET', headers, body: body && JSON.stringify(body) });
  } catch {
    throw new ApiError('The playground does not answer.', 'Is “openrtc playground” or “openrtc dev” still running in its terminal? Start it again, and open the new address.');
  }
  let found;
  try {
    found = await answer.json();
  } catch {
    found = {};
  }
  if (!answer.ok) throw new ApiError(found.error ?? `The playground answers ${answer.status}.`, found.fix ?? '', answer.status);
  return found;
}

export const listAgents = () => ask('/api/agents');
export const listCalls = () => ask('/api/calls');
export const createToken = (wish) => ask('/api/token', wish);
export const createWatchToken = (room) => ask('/api/watch', { room });
