// Everything that a person sees goes through here as text: nothing is ever parsed as HTML.

const LONGEST = 20_000; // characters of one text; more would only make the page slow

export const byId = (id) => document.getElementById(id);

/** Make an element. `text` is its text, `on…` its listeners; false and undefined leave an attribute out. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false || value === null) continue;
    if (name === 'text') setText(node, value);
    else if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children);
  return node;
}

export function setText(node, text) {
  const shown = shorten(text);
  if (node.textContent !== shown) node.textContent = shown;
}

export function shorten(text, longest = LONGEST) {
  const whole = String(text ?? '');
  return whole.length > longest ? `${whole.slice(0, longest)}…` : whole;
}

export function show(node, visible) {
  node.hidden = !visible;
}

/** Replace the children only where the content has changed, so that focus and selection stay. */
export function renderIfChanged(node, value, build) {
  const key = JSON.stringify(value);
  if (node.renderedKey === key) return;
  node.renderedKey = key;
  node.replaceChildren(...build());
}

export function formatSeconds(seconds) {
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  return `${seconds.toFixed(2)} s`;
}

export function formatClock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const rest = String(whole % 60).padStart(2, '0');
  return hours ? `${hours}:${String(minutes).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`;
}
