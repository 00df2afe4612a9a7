
// ---- talking to the agent

const QUIET_MS = 25000; // the agent sends a sign of life every 10 s
const SILENT_S = 90; // and looks at the host every minute
const RETRY_MS = 3000;
const HISTORY_MS = 60000;

// Of what the history and the incidents of a range were fetched last.
let fetched = {};

// Each height is the difference to the one before it that is known.
function heights(deltas) {
  let height = 0;
  return deltas.map((delta) => (delta === null ? null : (height += delta)));
}

async function json(address) {
  const answer = await fetch(address, { cache: "no-store" });
  if (!answer.ok) throw new Error(answer.status);
  return answer.json();
}

async function refresh(status) {
  if (!status) return;
  const range = view.range;
  // Marks come with these.
  const key = JSON.stringify([status.phase, status.collator.restarts, status.collator.started_at, status.last_incident, status.update,
    status.maintenance, status.ec2?.notice, status.agent.pid]);
  const last = fetched[range];
  if (last && last.for === key && performance.now() - last.at < HISTORY_MS) return;
  fetched[range] = { for: key, at: performance.now() };
  try {
    const h = await json(`history?range=${range}`);
    for (const chain of Object.values(h.chains)) {
      for (const name of ["best", "target", "reference"]) if (chain[name]) chain[name] = heights(chain[name]);
    }
    view.histories[range] = h;
  } catch {
    fetched[range] = null; // with the next status
    return;
  }
  show();
  if (view.histories[range].marks.length === 0) return;
  // Without them, as while the agent's disk does not answer, marks are shown all the same.
  view.incidents = await json("incidents").catch(() => view.incidents);
  showMarks();
}

// Puts the newest heights at the end of what was fetched, so that it need not be fetched again.
function extend(h, status) {
  const slots = h.slots;
  const ahead = Math.floor((Date.parse(status.time) / 1000 - h.from) / h.slot_seconds) - (slots - 1);
  if (ahead < 0 || ahead > slots) return;
  h.from += ahead * h.slot_seconds;
  for (const chain of Object.values(h.chains)) {
    for (const values of [chain.best, chain.target, chain.reference].filter(Boolean)) {
      for (let n = 0; n < ahead; n += 1) { values.shift(); values.push(null); }
    }
    chain.phases = chain.phases.map(([slot, length, phase]) => [slot - ahead, length, phase]);
  }
  for (const [name, chain] of Object.entries(status.chains)) {
    if (chain.scrape !== "ok" || chain.best === null) continue;
    h.chains[name] ||= { best: Array(slots).fill(null), target: Array(slots).fill(null), phases: [] };
    h.chains[name].best[slots - 1] = chain.best;
    h.chains[name].target[slots - 1] = chain.target;
  }
}

function show() {
  const status = view.status;
  if (!status) return;
  document.querySelector("main").hidden = false;
  showState(status);
  for (const [name, chain] of Object.entries(status.chains)) showChain(name, chain);
  showFacts(status);
  showMarks();
  drawAll();
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
    Object.values(view.histories).forEach((h) => extend(h, view.status));
    show();
    refresh(view.status);
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

// Once a second: how old is what is shown, and does the agent answer?
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
