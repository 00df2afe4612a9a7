
// ---- how it is now

// Shapes, so that nothing is shown by colour alone: a check, a warning, a cross, a question.
const SIGNS = {
  ok: "M8 0a8 8 0 100 16A8 8 0 008 0zM7 11.6L3.4 8l1.4-1.4L7 8.8l4.4-4.4L12.8 5.8z",
  degraded: "M8 0l8 15H0zM7 5v5h2V5zm0 6v2h2v-2z",
  critical: "M4.7 0h6.6L16 4.7v6.6L11.3 16H4.7L0 11.3V4.7zM4 5.4L6.6 8 4 10.6 5.4 12 8 9.4l2.6 2.6 1.4-1.4L9.4 8 12 5.4 10.6 4 8 6.6 5.4 4z",
  unknown: "M8 0l8 8-8 8-8-8zM7 11v2h2v-2zM5.5 6H7.4c0-1 1.3-1 1.3 0S7 7.4 7 9.6h2c0-1.400 1.7-1.900 1.700-3.600 0-3.200-5.200-3.200-5.200 0z",
};
const OLD_S = 60; // age at which a sample is called old: exporters are asked every few seconds

// Commands within remedies.
const COMMANDS = new RegExp([
  "t0rn-agent (?:update --image [^\\s;,]+|incidents show [\\w-]+|(?:start|stop|restart|resume|logs|status|check|incidents)\\b)",
  "systemctl (?:status|start|restart) [\\w@.-]+", "journalctl -u [\\w@.-]+", "fuser -v", "df -[hi]",
].join("|"), "g");

function showState(status) {
  const health = SIGNS[status.health] ? status.health : "unknown";
  document.body.dataset.health = health;
  by("sign").setAttribute("d", SIGNS[health]);
  by("sign").setAttribute("fill-rule", "evenodd");
  say(by("phase"), known(status.phase, words));
  say(by("answer"), status.summary || "nothing is known");
  rows(by("reasons"), status.reasons.filter((reason) => reason !== status.summary), (reason) => make("li", {}, reason));
  const found = [status.summary, ...status.reasons].flatMap((text) => text.match(COMMANDS) ?? []);
  rows(by("commands"), [...new Set(found)], command);
  const next = status.next;
  const when = next && next.in_seconds !== null ? ` in ${duration(next.in_seconds)}` : "";
  const why = next && next.why ? ` (${words(next.why)})` : "";
  say(by("next"), next ? `Next, if nothing changes: ${next.action}${when}${why}` : "");
  say(by("name"), status.collator.container || "t0rn-agent");
}

const SCRAPES = {
  refused: "refuses the connection", timeout: "does not answer in time", unreachable: "cannot be reached",
  http_status: "answers with an HTTP error", too_large: "sends too large a page", unparsable: "sends no metrics",
  metric_missing: "sends no block height",
};
const TONES = { stalled: "critical", isolated: "critical", quiet: "degraded" };

function makeCard(name) {
  const card = by("chain").content.firstElementChild.cloneNode(true);
  card.id = `chain-${name}`;
  by("chains").append(card);
  const plot = card.querySelector(".plot");
  plot.setAttribute("aria-label", `Time on the chart of the ${name}: arrow keys move, plus and minus zoom`);
  new ResizeObserver(() => draw(name)).observe(plot);
  listen(name, plot);
  return card;
}

// The newest height that a reference gave, beside our own.
function reference(name, chain) {
  const h = view.histories.day;
  const values = h?.chains[name]?.reference;
  const slot = values ? values.findLastIndex((n) => n !== null) : -1;
  if (slot < 0) return [];
  const ahead = chain.best === null ? "" : ` (${values[slot] < chain.best ? "−" : "+"}${count(Math.abs(values[slot] - chain.best))})`;
  const late = h.slots - 1 - slot > 1 ? `, ${duration((h.slots - 1 - slot) * h.slot_seconds)} ago` : "";
  return [["reference", count(values[slot]) + ahead + late]];
}

function showChain(name, chain) {
  const card = by(`chain-${name}`) ?? makeCard(name);
  say(card.querySelector(".title"), name + (chain.id ? ` · ${chain.id}` : ""));
  const verdict = card.querySelector(".verdict");
  say(verdict, words(chain.verdict));
  verdict.dataset.tone = TONES[chain.verdict] || "";
  const caught = ["synced", "quiet"].includes(chain.verdict);
  const rate = (r) => `${r.toFixed(Math.abs(r) < 1 ? 2 : 1)}/s`;
  const phase = (sync) => words(sync.phase) + (sync.percent === null ? "" : ` ${Math.round(sync.percent)} %`);
  const numbers = card.querySelector(".numbers");
  rows(numbers, [
    ["best", known(chain.best, count)], ["target", known(chain.target, count)],
    ["behind", known(chain.behind, count)], ["finalized", known(chain.finalized, count)],
    ["blocks", known(chain.blocks_per_second, rate)],
    chain.sync ? ["phase", phase(chain.sync)] : caught ? ["left", "caught up"] : ["left, about", known(chain.eta_seconds, duration)],
    ["peers", known(chain.peers, count)],
    ["progress", known(chain.progress_seconds_ago, (s) => `${duration(s)} ago`)],
    ...reference(name, chain),
  ], pair);
  const exporter = card.querySelector(".exporter");
  const age = chain.sample_seconds_ago, old = Boolean(chain.stale) || (age !== null && age > OLD_S);
  numbers.classList.toggle("old", old);
  exporter.hidden = !SCRAPES[chain.scrape] && !old;
  const why = chain.stale ? "The collator does not run" : `The exporter ${SCRAPES[chain.scrape] ?? "was not asked"}`;
  const sample = age === null ? "there is no sample" : `these numbers are ${duration(age)} old`;
  say(exporter, exporter.hidden ? "" : `${why}: ${sample}`);
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
  const unknown = (why) => (why ? `unknown: ${why}` : "?");
  facts.push(["clock", h.clock_offset_ms === null ? unknown(h.clock_unknown) : `${h.clock_offset_ms.toFixed(1)} ms off`]);
  facts.push(["network", h.network_ok === null ? unknown(h.network_unknown) : h.network_ok ? "up" : "down"]);
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
}
