"use strict";
// Everything that comes from the agent is shown through textContent, and everything that is unknown as "?".

const QUIET_MS = 25000; // the agent sends a sign of life every 10 s
const SILENT_S = 90; // and looks at the host every minute
const RETRY_MS = 3000;
const HISTORY_MS = 60000;
const MARKS_SHOWN = 20;

const view = {
  status: null, history: null,
  // Where a finger or a mouse is on a chain's chart, px.
  pointed: {},
  source: null, full: false,
  // By this browser's steady clock, ms: when the agent was heard last, and since when a connection is waited for.
  heard: performance.now(), asked: performance.now(),
  // The agent's clock minus this browser's steady one, ms.
  offset: null,
};

const by = (id) => document.getElementById(id);
const known = (value, show = String) => (value === null || value === undefined ? "?" : show(value));
const words = (name) => name.replaceAll("_", " ");
const count = (n) => n.toLocaleString("en");
const say = (node, text) => { if (node.textContent !== text) node.textContent = text; };

function make(tag, attributes = {}, text) {
  const svg = ["svg", "path", "line", "rect", "text", "g", "title"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
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
// By the agent's clock where it is known, else by this browser's.
const wall = (steady) => steady + (view.offset ?? Date.now() - performance.now());

// ---- what is shown in words

// Shapes, so that nothing is told by colour alone: a check, a warning, a cross, a question.
const SIGNS = {
  ok: "M8 0a8 8 0 100 16A8 8 0 008 0zM7 11.6L3.4 8l1.4-1.4L7 8.8l4.4-4.4L12.8 5.8z",
  degraded: "M8 0l8 15H0zM7 5v5h2V5zm0 6v2h2v-2z",
  critical: "M4.7 0h6.6L16 4.7v6.6L11.3 16H4.7L0 11.3V4.7zM4 5.4L6.6 8 4 10.6 5.4 12 8 9.4l2.6 2.6 1.4-1.4L9.4 8 12 5.4 10.6 4 8 6.6 5.4 4z",
  unknown: "M8 0l8 8-8 8-8-8zM7 11v2h2v-2zM5.5 6H7.4c0-1 1.3-1 1.3 0S7 7.4 7 9.6h2c0-1.400 1.7-1.900 1.700-3.600 0-3.200-5.200-3.200-5.200 0z",
};

function showState(status) {
  const health = SIGNS[status.health] ? status.health : "unknown";
  document.body.dataset.health = health;
  by("sign").setAttribute("d", SIGNS[health]);
  by("sign").setAttribute("fill-rule", "evenodd");
  say(by("phase"), known(status.phase, words));
  say(by("answer"), status.summary || "nothing is known");
  rows(by("reasons"), status.reasons.filter((reason) => reason !== status.summary), (reason) => make("li", {}, reason));
  const next = status.next;
  const when = next && next.in_seconds !== null ? ` in ${duration(next.in_seconds)}` : "";
  const why = next && next.why ? ` (${words(next.why)})` : "";
  say(by("next"), next ? `Next, if nothing changes: ${next.action}${when}${why}` : "");
  say(by("name"), status.collator.container || "t0rn-agent");
}

// Rebuilds a list only when it changed: whoever reads or selects it is not disturbed.
function rows(list, items, build) {
  const seen = JSON.stringify(items);
  if (list.dataset.seen === seen) return;
  list.dataset.seen = seen;
  list.replaceChildren(...items.map(build));
}

function pair([term, text]) {
  const row = make("div");
  row.append(make("dt", {}, term), make("dd", {}, text));
  return row;
}

const SCRAPES = {
  refused: "refuses the connection", timeout: "does not answer in time", unreachable: "cannot be reached",
  http_status: "answers with an HTTP error", too_large: "sends too large a page", unparsable: "sends no metrics",
  metric_missing: "sends no block height",
};
const TONES = { stalled: "critical", isolated: "critical", quiet: "degraded" };

function showChain(name, chain) {
  let card = by(`chain-${name}`);
  if (!card) {
    card = by("chain").content.firstElementChild.cloneNode(true);
    card.id = `chain-${name}`;
    by("chains").append(card);
    const chart = card.querySelector(".chart");
    new ResizeObserver(() => draw(name)).observe(chart);
    chart.addEventListener("pointermove", (event) => point(name, event));
    chart.addEventListener("pointerleave", () => point(name, null));
  }
  say(card.querySelector(".title"), name + (chain.id ? ` · ${chain.id}` : ""));
  const verdict = card.querySelector(".verdict");
  say(verdict, words(chain.verdict));
  verdict.dataset.tone = TONES[chain.verdict] || "";
  const caught = ["synced", "quiet"].includes(chain.verdict);
  const rate = (r) => `${r.toFixed(Math.abs(r) < 1 ? 2 : 1)}/s`;
  const phase = (sync) => words(sync.phase) + (sync.percent === null ? "" : ` ${Math.round(sync.percent)} %`);
  rows(card.querySelector(".numbers"), [
    ["best", known(chain.best, count)], ["target", known(chain.target, count)],
    ["behind", known(chain.behind, count)], ["finalized", known(chain.finalized, count)],
    ["blocks", known(chain.blocks_per_second, rate)],
    chain.sync ? ["phase", phase(chain.sync)] : caught ? ["left", "caught up"] : ["left, about", known(chain.eta_seconds, duration)],
    ["peers", known(chain.peers, count)],
    ["progress", known(chain.progress_seconds_ago, (s) => `${duration(s)} ago`)],
  ], pair);
  const exporter = card.querySelector(".exporter");
  exporter.hidden = !SCRAPES[chain.scrape];
  const age = chain.sample_seconds_ago === null ? "none" : `${duration(chain.sample_seconds_ago)} old`;
  say(exporter, exporter.hidden ? "" : `The exporter ${SCRAPES[chain.scrape]}; newest sample: ${age}`);
}

function showFacts(status) {
  const { collator: c, host: h, agent: a, collation, ec2, bake, maintenance: m } = status;
  const r = c.restarts;
  const since = c.state === "running" && c.started_at ? ` for ${duration((Date.parse(status.time) - Date.parse(c.started_at)) / 1000)}` : "";
  const facts = [["collator", `${known(c.state)}${since}, id ${known(c.id)}`], ["image", known(c.image)]];
  if (c.digest) facts.push(["digest", c.digest.slice(0, 19)]);
  const within = r.budget_window_seconds === null ? "" : ` in ${duration(r.budget_window_seconds)}`;
  facts.push(["restarts", `${known(r.health)} for its health, ${known(r.crash)} after it ended`]);
  facts.push(["budget", `${known(r.budget_left)} of ${known(r.budget)} restarts left${within}`]);
  const exit = c.last_exit;
  if (exit) facts.push(["last exit", `code ${known(exit.code)}${exit.oom ? ", out of memory" : ""}, ${known(exit.at, (t) => `${t.slice(0, 10)} ${t.slice(11, 19)}`)}`]);
  if (collation) facts.push(["collation", `${known(collation.built, count)} built, ${known(collation.sent, count)} sent`]);
  const full = h.disk_full_in_seconds === null ? "" : `, full in ${duration(h.disk_full_in_seconds)}`;
  facts.push(["disk", `${known(h.disk_free_bytes, bytes)} of ${known(h.disk_total_bytes, bytes)} free${full}`]);
  facts.push(["memory", `${known(h.memory_available_bytes, bytes)} free`]);
  facts.push(["clock", known(h.clock_offset_ms, (ms) => `${ms.toFixed(1)} ms off`)]);
  facts.push(["network", known(h.network_ok, (ok) => (ok ? "up" : "down"))]);
  if (ec2) {
    const notice = ec2.notice ? `notice: ${ec2.notice}` : ec2.unseen ? "" : "no notice";
    const unseen = ec2.unseen ? `notices cannot be seen: ${ec2.unseen}` : "";
    const unanswered = ec2.unanswered ? `the lifecycle hook cannot be answered: ${ec2.unanswered}` : "";
    facts.push(["ec2", [known(ec2.instance_id), notice, unanswered, unseen].filter(Boolean).join(", ")]);
  }
  if (bake) facts.push(["bake", `block ${known(bake.block, count)}`]);
  if (m) facts.push(["maintenance", `automatic actions suspended until ${known(m.until)}: ${known(m.reason)}`]);
  facts.push(["agent", `${known(a.version)}, up ${known(a.uptime_seconds, duration)}, ${known(a.rss_bytes, bytes)} resident`]);
  if (status.shortened) facts.push(["shortened", "this was too long to be sent whole: see t0rn-agent status"]);
  rows(by("facts"), facts, pair);
  const i = status.last_incident;
  say(by("incident"), i && i.id ? `The newest incident is kept: t0rn-agent incidents show ${i.id}` : "");
}

// ---- what happened

const DEEDS = {
  start: "started", restart: "restarted", stop: "stopped", hold: "stopped and held",
  backoff: "taken over from a crash loop", exit: "ended",
};
const CAUSES = {
  missing: "there was no container", exited: "it had ended", killed: "it was killed", removed: "it was removed",
  spec_changed: "the configuration changed", operator: "an operator asked for it", disk_freed: "the disk has room again",
  spot_interruption: "EC2 takes the spot instance back", termination: "the auto scaling group ends the instance",
  scheduled_stop: "EC2 stops or reboots the instance", notice_over: "EC2 no longer takes the instance",
};
// A triangle for what brings it up, a square for what takes it down, a cross for what nobody asked for.
const UP = "M8 1l7 14H1z", DOWN = "M2 2h12v12H2z", CROSS = "M2 0l6 6 6-6 2 2-6 6 6 6-2 2-6-6-6 6-2-2 6-6-6-6z";
const shape = (mark) => (mark.what === "exit" ? CROSS : ["start", "restart"].includes(mark.what) ? UP : DOWN);
const HEALTH_CAUSES = ["frozen", "stalled", "isolated", "no_exporter"];

function tone(mark) {
  if (mark.helped !== null) return mark.helped ? "ok" : "critical";
  if (mark.what === "exit" && mark.code !== 0) return "critical";
  return mark.what === "hold" || HEALTH_CAUSES.includes(mark.cause) ? "degraded" : "soft";
}

function told(mark) {
  let text = DEEDS[mark.what] || words(mark.what);
  if (mark.cause && !(mark.what === "exit" && mark.cause === "exited")) text += `: ${CAUSES[mark.cause] || words(mark.cause)}`;
  if (mark.what === "exit") text += `, exit code ${known(mark.code)}`;
  if (mark.helped !== null) text += mark.helped ? ", and it helped" : ", and it did not help";
  else if (mark.what === "restart" && HEALTH_CAUSES.includes(mark.cause)) text += ", not known whether it helped";
  return text;
}

function showMarks() {
  const marks = view.history ? view.history.marks.slice().reverse() : [];
  const shown = marks.slice(0, MARKS_SHOWN);
  if (marks.length > shown.length) shown.push({ more: marks.length - shown.length });
  by("marks-none").hidden = marks.length > 0 || !view.history;
  rows(by("marks"), shown, (mark) => {
    if (mark.more) return make("li", {}, `and ${mark.more} earlier`);
    const row = make("li", { "data-tone": tone(mark) });
    const sign = make("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" });
    sign.append(make("path", { d: shape(mark) }));
    const at = new Date(mark.at).toISOString();
    row.append(sign, make("time", { datetime: at }, at.slice(5, 16).replace("T", " ")), make("span", {}, told(mark)));
    return row;
  });
}

// ---- the chart

const TOP = 18, BOTTOM = 20, SIDE = 6;
const SPAN_MIN = 3600; // seconds shown at least; more as soon as more was seen, up to the 24 h
const TICKS = [[2, 0.25], [7, 1], [13, 2], [25, 6]]; // up to so many hours a tick every so many

function frame(name) {
  const card = by(`chain-${name}`), h = view.history;
  if (!card || !h) return null;
  const chart = card.querySelector(".chart");
  const { width, height } = chart.getBoundingClientRect();
  const { from, slots, slot_seconds: step } = h;
  const { best = [], target = [] } = h.chains[name] || {};
  const all = [...best, ...target].filter((n) => n !== null);
  const low = Math.min(...all), high = Math.max(...all);
  // All charts begin where anything was seen first.
  const first = Object.values(h.chains).map((heights) => from + heights.best.findIndex((n) => n !== null) * step);
  const end = from + slots * step;
  const begin = Math.max(from, Math.min(end - SPAN_MIN, ...first, ...h.marks.map((mark) => mark.at / 1000)));
  const x = (seconds) => SIDE + ((seconds - begin) / (end - begin)) * (width - 2 * SIDE);
  return {
    card, chart, width, height, best, target, low, high, slots, from, step, begin, end, x, any: all.length > 0,
    // Of the middle of a slot; of a height.
    at: (slot) => x(from + (slot + 0.5) * step),
    y: (n) => TOP + (1 - (high > low ? (n - low) / (high - low) : 0.5)) * (height - TOP - BOTTOM - 4) + 2,
    slot: (px) => Math.floor((begin + ((px - SIDE) / (width - 2 * SIDE)) * (end - begin) - from) / step),
  };
}

// A line that breaks where nothing was seen; what stands alone is as long as its slot.
function path(f, values) {
  let d = "";
  values.forEach((n, slot) => {
    if (n === null) return;
    const y = f.y(n).toFixed(1), at = (s) => f.at(s).toFixed(1);
    const joined = slot > 0 && values[slot - 1] !== null;
    const alone = !joined && (values[slot + 1] ?? null) === null;
    d += alone ? `M${at(slot - 0.5)} ${y}H${at(slot + 0.5)}` : `${joined ? "L" : "M"}${at(slot)} ${y}`;
  });
  return d;
}

function draw(name) {
  const f = frame(name);
  if (!f || f.width === 0) return;
  const { chart, width, height } = f;
  const parts = [];
  const bottom = height - BOTTOM;
  // Gaps before the first sight are the time before the agent came; later ones nobody watched, or nothing answered.
  const first = f.best.findIndex((n) => n !== null);
  let missing = 0, begin = null;
  for (let slot = Math.max(0, first); first >= 0 && slot <= f.slots; slot += 1) {
    // The newest slot alone has only just begun.
    const gap = slot < f.slots && f.best[slot] === null && (begin !== null || slot < f.slots - 1);
    if (gap && begin === null) begin = slot;
    if (gap) missing += 1;
    if (!gap && begin !== null) {
      parts.push(make("rect", { class: "gaps", x: f.at(begin - 0.5), y: TOP, width: f.at(slot) - f.at(begin), height: bottom - TOP }));
      begin = null;
    }
  }
  const every = 3600 * TICKS.find(([hours]) => f.end - f.begin <= hours * 3600)[1];
  for (let time = Math.ceil(f.begin / every) * every; time < f.end; time += every) {
    const x = f.x(time);
    parts.push(make("line", { class: "grid", x1: x, x2: x, y1: TOP, y2: bottom }));
    const anchor = x < 20 ? "start" : x > width - 20 ? "end" : "middle";
    parts.push(make("text", { x, y: height - 5, "text-anchor": anchor }, clock(time * 1000).slice(0, 5)));
  }
  parts.push(make("line", { class: "grid", x1: 0, x2: width, y1: bottom, y2: bottom }));
  parts.push(make("path", { class: "line target", d: path(f, f.target) }));
  parts.push(make("path", { class: "line best", d: path(f, f.best) }));
  for (const mark of view.history.marks) {
    const x = f.x(mark.at / 1000);
    const g = make("g", { class: "mark", "data-tone": tone(mark) });
    const sign = make("path", { d: shape(mark), transform: `translate(${x - 5} 3) scale(0.625)`, "stroke-width": 0 });
    g.append(make("title", {}, `${clock(mark.at)} ${told(mark)}`), make("line", { x1: x, x2: x, y1: TOP - 4, y2: bottom }), sign);
    parts.push(g);
  }
  if (f.any) {
    parts.push(make("text", { class: "halo", x: 2, y: TOP + 12 }, count(f.high)));
    if (f.high > f.low) parts.push(make("text", { class: "halo", x: width - 2, y: bottom - 6, "text-anchor": "end" }, count(f.low)));
  } else {
    parts.push(make("text", { class: "halo", x: width / 2, y: height / 2, "text-anchor": "middle" }, "nothing was seen of this chain yet"));
  }
  parts.push(make("line", { class: "cursor", y1: TOP, y2: bottom, visibility: "hidden" }));
  chart.replaceChildren(...parts);
  chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const ends = f.best.filter((n) => n !== null);
  const gaps = missing ? `; nothing seen for ${duration(missing * f.step)}` : "";
  chart.setAttribute("aria-label", f.any && ends.length
    ? `${name} since ${clock(f.begin * 1000).slice(0, 5)}: best from ${count(ends[0])} to ${count(ends[ends.length - 1])}${gaps}; ${view.history.marks.length} marks, listed below`
    : `${name}: nothing seen yet`);
  read(name, f);
}

// What stood there at the time under the finger.
function read(name, f) {
  const reading = f.card.querySelector(".reading"), cursor = f.chart.querySelector(".cursor");
  const x = view.pointed[name];
  if (x === undefined) {
    say(reading, "");
    cursor.setAttribute("visibility", "hidden");
    return;
  }
  const slot = Math.min(f.slots - 1, Math.max(0, f.slot(x)));
  for (const [key, value] of [["x1", f.at(slot)], ["x2", f.at(slot)], ["visibility", "visible"]]) cursor.setAttribute(key, value);
  say(reading, `${clock((f.from + slot * f.step) * 1000).slice(0, 5)}: best ${known(f.best[slot], count)}, target ${known(f.target[slot], count)}`);
}

function point(name, event) {
  const f = frame(name);
  view.pointed[name] = event ? event.clientX - event.currentTarget.getBoundingClientRect().left : undefined;
  if (f && f.chart.childElementCount > 0) read(name, f);
}

// Puts the newest heights at the end of what was fetched, so that it need not be fetched again.
function extend(status) {
  const h = view.history;
  if (!h) return;
  const slots = h.slots;
  const ahead = Math.floor((Date.parse(status.time) / 1000 - h.from) / h.slot_seconds) - (slots - 1);
  if (ahead < 0 || ahead > slots) return;
  h.from += ahead * h.slot_seconds;
  for (const heights of Object.values(h.chains)) {
    for (const values of [heights.best, heights.target]) {
      for (let n = 0; n < ahead; n += 1) { values.shift(); values.push(null); }
    }
  }
  for (const [name, chain] of Object.entries(status.chains)) {
    if (chain.scrape !== "ok" || chain.best === null) continue;
    h.chains[name] ||= { best: Array(slots).fill(null), target: Array(slots).fill(null) };
    h.chains[name].best[slots - 1] = chain.best;
    h.chains[name].target[slots - 1] = chain.target;
  }
}

// ---- talking to the agent

let fetched = { for: null, at: 0 };

async function history(status) {
  // Marks come with these.
  const key = JSON.stringify([status.phase, status.collator.restarts, status.collator.started_at, status.last_incident, status.agent.pid]);
  if (fetched.for === key && performance.now() - fetched.at < HISTORY_MS) return;
  fetched = { for: key, at: performance.now() };
  try {
    const answer = await fetch("history", { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.status);
    view.history = await answer.json();
  } catch {
    fetched.for = null; // with the next status
    return;
  }
  show();
}

function show() {
  const status = view.status;
  if (!status) return;
  document.querySelector("main").hidden = false;
  showState(status);
  for (const [name, chain] of Object.entries(status.chains)) showChain(name, chain);
  showFacts(status);
  showMarks();
  for (const name of Object.keys(status.chains)) draw(name);
}

function heard() {
  view.heard = view.asked = performance.now();
  view.full = false;
  document.body.dataset.link = "live";
  tick();
}

function connect() {
  if (view.source) view.source.close();
  const source = new EventSource("events");
  view.source = source;
  source.addEventListener("beat", (event) => {
    view.offset = Number(event.data) - performance.now();
    heard();
  });
  source.addEventListener("status", (event) => {
    const before = view.status;
    view.status = JSON.parse(event.data);
    // Another agent has a page of its own.
    if (before && before.agent.version !== view.status.agent.version) location.reload();
    heard();
    extend(view.status);
    show();
    history(view.status);
  });
  source.onerror = () => {
    document.body.dataset.link = "lost";
    // The browser tries again by itself, unless it was refused.
    if (source.readyState === EventSource.CLOSED) {
      fetch("history", { cache: "no-store" }).then((answer) => { view.full = answer.ok; }, () => { view.full = false; }).finally(tick);
      setTimeout(() => { if (view.source === source) connect(); }, RETRY_MS);
    }
    tick();
  };
  view.asked = performance.now();
}

// Once a second: how old is what is shown, and is anybody there?
function tick() {
  const now = performance.now();
  if (now - view.asked > QUIET_MS) {
    document.body.dataset.link = "lost";
    connect();
  }
  const link = document.body.dataset.link, status = view.status;
  const age = status && view.offset !== null ? (wall(now) - Date.parse(status.time)) / 1000 : null;
  const old = age === null ? "" : `, ${duration(age)} old`;
  say(by("link-text"), link === "live" ? `live${old}` : link === "lost" ? `not reachable${old}` : "connecting to the agent");
  const silent = link === "live" && age !== null && age > SILENT_S;
  by("lost").hidden = link !== "lost" && !silent;
  let what = "", then = "";
  if (silent) {
    what = `The agent has said nothing new for ${duration(age)}.`;
    then = "On the host: systemctl status t0rn-agent";
  } else if (view.full) {
    what = "The agent is there, but follows no more pages.";
    then = "As many as it serves at a time are open already: close one of them. This page tries again by itself.";
  } else {
    what = `The agent is not reachable since ${clock(wall(view.heard))} (${duration((now - view.heard) / 1000)}).`;
    then = `${status ? "What is shown here is what it said then. " : ""}That alone does not stop the collator. `
      + "Is the tunnel still open? On the host: systemctl status t0rn-agent. This page tries again by itself.";
  }
  say(by("lost").firstElementChild, what);
  say(by("lost").lastElementChild, then);
  if (status) say(by("health"), link === "lost" ? `was ${status.health}` : status.health);
  const name = by("name").textContent;
  const state = status ? `${status.health}: ${known(status.phase, words)}` : "";
  say(by("said"), link === "lost" ? "The agent is not reachable" : state);
  document.title = link === "lost" ? `? not reachable · ${name}` : status ? `${state} · ${name}` : name;
}

connect();
setInterval(tick, 1000);
