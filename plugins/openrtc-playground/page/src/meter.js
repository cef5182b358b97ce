// How loud a track is, from 0 to 1, for the eye; and when it was first heard.

const EVERY_MS = 60;
const AUDIBLE = 0.01; // root mean square

let context;

/** Call `onLevel(level)` again and again until the returned function is called. */
export function watchLevel(track, onLevel, mark = '') {
  context ??= new AudioContext();
  context.resume().catch(() => {});
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  const source = context.createMediaStreamSource(new MediaStream([track]));
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const level = Math.hypot(...samples) / Math.sqrt(samples.length);
    if (mark && level > AUDIBLE) {
      performance.mark(`openrtc:${mark}`);
      mark = '';
    }
    onLevel(Math.min(1, level * 5));
  }, EVERY_MS);
  return () => {
    clearInterval(timer);
    source.disconnect();
    onLevel(0);
  };
}
