// Numbers and words as people read them, and elements made of them. Text only ever becomes a text node: no name or metadata can become markup.

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (value !== null && value !== false)
      made.setAttribute(name, value === true ? "" : value);
  made.append(...children);
  return made;
}

/** Writes only what differs, so that nothing is announced or laid out again for nothing. */
export function setText(node, text) {
  if (node.textContent !== text)
    node.textContent = text;
}

export function setBadge(node, kind, text) {
  setText(node, text);
  const name = `badge ${kind}`;
  if (node.className !== name)
    node.className = name;
}

export const words = name => (name ?? "").replaceAll("_", " ");

export const count = n => n.toLocaleString("en");

export function rate(n) {
  return n >= 100 ? count(Math.round(n)) : n >= 10 ? n.toFixed(1) : n === 0 ? "0" : n < 0.1 ? n.toFixed(2) : n.toFixed(1);
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined)
    return "–";
  const ms = seconds * 1000;
  return seconds >= 10 ? `${seconds.toFixed(0)} s` : seconds >= 1 ? `${seconds.toFixed(1)} s` : ms >= 10 ? `${ms.toFixed(0)} ms` : `${ms.toFixed(1)} ms`;
}

export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 120)
    return `${s} s`;
  if (s < 7200)
    return `${Math.floor(s / 60)} min`;
  return s < 172800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
}

export const percent = share => `${Math.round(share * 100)} %`;

export const plural = (n, one, many = one + "s") => `${count(n)} ${n === 1 ? one : many}`;
