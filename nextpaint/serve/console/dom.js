// Building elements. Text from data only ever becomes text nodes and attributes; there is no innerHTML in these pages.

export const $ = (id) => document.getElementById(id);

/** h("li", {class: "card", onclick: f, data: {id: "1"}}, "text", element, ...) */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "style") Object.assign(element.style, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";
export function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children.flat());
  return element;
}

/** Changes text only when it differs, so a screen reader is not told the same thing again. */
export function text(element, value) {
  if (element && element.textContent !== value) element.textContent = value;
}

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

export const ms = (value) => {
  if (typeof value !== "number" || !Number.isFinite(value)) return "–";
  return value < 1 ? `${value.toFixed(2)} ms` : value < 10 ? `${value.toFixed(1)} ms` : value < 1000 ? `${Math.round(value)} ms` : duration(value);
};

/** 12 ms, 4 s, 3 min, 2 h, 5 d: how long ago, read at a glance. */
export function duration(value) {
  if (typeof value !== "number" || !Number.isFinite(value)) return "–";
  if (value < 1000) return `${Math.max(0, Math.round(value))} ms`;
  const seconds = value / 1000;
  if (seconds < 90) return `${seconds < 10 ? seconds.toFixed(1).replace(/\.0$/, "") : Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

export const count = (value) => (typeof value === "number" ? value.toLocaleString("en-GB", { maximumFractionDigits: value < 100 ? 1 : 0 }) : "–");

/** Titles come in capitals; people read sentences. A title that has small letters is left as it is. */
export function pretty(title) {
  const value = String(title ?? "").trim().replace(/\s+/g, " ");
  if (/[a-z]/.test(value)) return value;
  const lower = value.toLowerCase().replace(/\bt-light/g, "T-light").replace(/\b(london|union jack|christmas|easter|french|england|english|victorian|edwardian|scandinavian|led|regency)\b/g,
    (word) => (word === "led" ? "LED" : word.replace(/(^|\s)\w/g, (letter) => letter.toUpperCase())));
  return lower.charAt(0).toUpperCase() + lower.slice(1);
}

export const tile = (id, title) => `/tiles/${encodeURIComponent(id)}.svg?title=${encodeURIComponent(title ?? id)}`;
