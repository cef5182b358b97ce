// What the time between a person's last word and the first sound of the answer went into.

export const STAGES = [
  { key: 'transcription', label: 'Transcription', told: 'from the last word to its transcript' },
  { key: 'turn', label: 'End of turn', told: 'until it was sure that the person had finished' },
  { key: 'hooks', label: 'Agent’s code', told: 'on_user_turn_completed' },
  { key: 'llm', label: 'LLM first token', told: 'from the request to the first token' },
  { key: 'sentence', label: 'First sentence', told: 'from the first token to a whole sentence' },
  { key: 'tts', label: 'TTS first byte', told: 'from the first sentence to the first sound' },
  { key: 'rest', label: 'Everything else', told: 'tools, playout and the way to the room' },
];

/** Return `{stages: [{key, label, seconds}], total}` of a turn by the metrics of its two messages; null without any. */
export function measureTurn(user, assistant) {
  const spent = {};
  const endOfTurn = user?.endOfTurnDelay ?? 0;
  spent.transcription = Math.min(user?.transcriptionDelay ?? 0, endOfTurn || Infinity);
  spent.turn = Math.max(0, endOfTurn - spent.transcription);
  spent.hooks = user?.onUserTurnCompletedDelay ?? 0;
  spent.llm = assistant?.llmNodeTtft ?? 0;
  spent.sentence = Math.max(0, (assistant?.llmNodeTtfs ?? 0) - spent.llm);
  spent.tts = assistant?.ttsNodeTtfb ?? 0;
  const known = Object.values(spent).reduce((sum, seconds) => sum + seconds, 0);
  const total = assistant?.e2eLatency || known;
  spent.rest = Math.max(0, total - known);
  const stages = STAGES.filter(({ key }) => spent[key] >= 0.0005).map((stage) => ({ ...stage, seconds: spent[stage.key] }));
  return total >= 0.0005 && stages.length ? { stages, total, measured: Boolean(assistant?.e2eLatency) } : null;
}
