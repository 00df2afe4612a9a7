"use strict";
// Everything that comes from the agent is shown through textContent, and everything that is unknown as "?".

const view = {
  status: null,
  // By range; what the charts show of it, in Unix seconds (null is all), and where the crosshair is.
  histories: {}, range: "day", zoom: null, cursor: null,
  // The list of incidents, those that were opened by their id, and the key of the mark that is open.
  incidents: [], opened: {}, open: null,
  source: null, full: false,
  // By this browser's steady clock, ms: when the agent was heard last, and since when a connection is waited for.
  heard: performance.now(), asked: performance.now(),
  // The agent's clock minus this browser's steady one, ms.
  offset: null,
  get history() { return this.histories[this.range] ?? null; },
};

const by = (id) => document.getElementById(id);
const known = (value, show = String) => (value === null || value === undefined ? "?" : show(value));
const words = (name) => name.replaceAll("_", " ");
const count = (n) => n.toLocaleString("en");
const say = (node, text) => { if (node.textContent !== text) node.textContent = text; };
const clamp = (n, low, high) => Math.min(high, Math.max(low, n));

const SVG = new Set(["svg", "path", "line", "rect", "text", "g", "title"]);

function make(tag, attributes = {}, text) {
  const node = SVG.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function button(text, act, attributes = {}) {
  const node = make("button", { type: "button", ...attributes }, text);
  node.addEventListener("click", () => act(node));
  return node;
}

const shownOf = new WeakMap();

// Rebuilds a list only when it changed, so that reading and selecting are not disturbed.
function rows(list, items, build) {
  const text = JSON.stringify(items);
  if (shownOf.get(list) === text) return;
  shownOf.set(list, text);
  list.replaceChildren(...items.map(build));
}

function pair([term, text]) {
  const row = make("div");
  row.append(make("dt", {}, term), make("dd", {}, text));
  return row;
}

// As the command line shows them: 42s, 6m 46s, 1h 29m, 3d 4h.
function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const units = [[Math.floor(s / 86400), "d"], [Math.floor(s / 3600) % 24, "h"], [Math.floor(s / 60) % 60, "m"], [s % 60, "s"]];
  let first = units.findIndex(([n]) => n > 0);
  if (first < 0) first = 3;
  const [n, unit] = units[first];
  const minor = units[first + 1];
  return minor && minor[0] > 0 && n < 100 ? `${n}${unit} ${minor[0]}${minor[1]}` : `${n}${unit}`;
}

function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) { n /= 1024; unit += 1; }
  return `${unit === 0 || n >= 100 ? n.toFixed(0) : n.toFixed(1)} ${units[unit]}`;
}

const clock = (ms) => new Date(ms).toISOString().slice(11, 19);
// Month, day, hour and minute.
const minute = (ms) => new Date(ms).toISOString().slice(5, 16).replace("T", " ");
// By the agent's clock where it is known, else by this browser's.
const wall = (steady) => steady + (view.offset ?? Date.now() - performance.now());

// A command to be typed on the host, and a button that copies it.
function command(text) {
  const row = make("p", { class: "command" });
  row.append(make("code", {}, text), button("Copy", (node) => copy(text, node), { "aria-label": `Copy ${text}` }));
  return row;
}

async function copy(text, node) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Only where the page was opened by an address that is not the browser's own host.
    const area = make("textarea", { class: "unseen", "aria-label": "command" }, text);
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    node.focus();
  }
  say(node, "Copied");
  setTimeout(() => say(node, "Copy"), 2000);
}
