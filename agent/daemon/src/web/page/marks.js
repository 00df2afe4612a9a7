
// ---- what happened

const MARKS_SHOWN = 20;
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
// A triangle for what brings it up, a square for what takes it down, a cross for an end by itself, a bar for what lasted.
const UP = "M8 1l7 14H1z", DOWN = "M2 2h12v12H2z", CROSS = "M2 0l6 6 6-6 2 2-6 6 6 6-2 2-6-6-6 6-2-2 6-6-6-6z", BAR = "M0 5h16v6H0z";
const shape = (mark) => (mark.what === "exit" ? CROSS : ["start", "restart"].includes(mark.what) ? UP : DOWN);
const HEALTH_CAUSES = ["frozen", "stalled", "isolated", "no_exporter"];

function tone(mark) {
  if (mark.helped !== null) return mark.helped ? "ok" : "critical";
  if (mark.what === "exit" && mark.code !== 0) return "critical";
  return mark.what === "hold" || HEALTH_CAUSES.includes(mark.cause) ? "degraded" : "soft";
}

function describe(mark) {
  let text = DEEDS[mark.what] || words(mark.what);
  if (mark.cause && !(mark.what === "exit" && mark.cause === "exited")) text += `: ${CAUSES[mark.cause] || words(mark.cause)}`;
  if (mark.what === "exit") text += `, exit code ${known(mark.code)}`;
  if (mark.helped !== null) text += mark.helped ? ", and it helped" : ", and it did not help";
  else if (mark.what === "restart" && HEALTH_CAUSES.includes(mark.cause)) text += ", not known whether it helped";
  return text;
}

const isOver = (span) => span.to !== null && span.to <= wall(performance.now());

// What an update, an announcement or a pause was about, and how long it lasted.
function lasted(span) {
  const over = isOver(span);
  const time = over ? `, for ${duration((span.to - span.from) / 1000)}` : span.to === null ? ", goes on" : `, until ${minute(span.to)}`;
  if (span.what === "update") {
    const end = { true: ": kept", false: ": failed", null: over ? ": replaced by another" : "" }[span.succeeded];
    return `update${span.about ? ` to ${span.about}` : ""}${end}${time}`;
  }
  if (span.what === "notice") return `EC2 announced: ${words(span.about)}${time}`;
  return `automatic actions ${over ? "were" : "are"} paused${span.about ? ` (${span.about})` : ""}${time}`;
}

// A span as a mark at its beginning.
const itemOf = (span) => ({ ...span, at: span.from, text: lasted(span) });
const keyOf = (mark) => `${mark.what}-${mark.at}`;

// The incident that was kept of a mark. An end by itself is answered by the next action.
function incidentOf(mark) {
  if (mark.text) return undefined;
  const late = (incident) => Date.parse(incident.at) - mark.at;
  const oldestFirst = view.incidents.slice().reverse();
  if (mark.what === "exit") return oldestFirst.find((incident) => late(incident) > -2000 && late(incident) < 300000);
  return oldestFirst.find((incident) => Math.abs(late(incident)) < 2000 && incident.cause === mark.cause);
}

function showMarks() {
  const h = view.history;
  const all = h ? [...h.marks, ...h.spans.map(itemOf)] : [];
  all.sort((a, b) => b.at - a.at);
  const shown = all.slice(0, MARKS_SHOWN);
  // One that was opened on a chart is shown however old it is.
  shown.push(...all.slice(MARKS_SHOWN).filter((item) => keyOf(item) === view.open));
  const items = shown.map((item) => {
    const open = keyOf(item) === view.open;
    return { ...item, open, incident: open ? view.opened[incidentOf(item)?.id] : undefined };
  });
  if (all.length > shown.length) items.push({ more: all.length - shown.length });
  by("marks-none").hidden = all.length > 0 || !h;
  say(by("marks-title"), `What happened in the last ${view.range === "day" ? "24 h" : "7 days"}`);
  const focused = document.activeElement?.dataset.key;
  rows(by("marks"), items, markRow);
  if (focused && !by("marks").contains(document.activeElement)) by("marks").querySelector(`[data-key="${focused}"]`)?.focus();
}

function markRow(item) {
  if (item.more) return make("li", {}, `and ${item.more} earlier`);
  const row = make("li", { "data-tone": item.text ? "soft" : tone(item) });
  const sign = make("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" });
  sign.append(make("path", { d: item.text ? BAR : shape(item) }));
  const time = make("time", { datetime: new Date(item.at).toISOString() }, minute(item.at));
  const key = keyOf(item);
  const opener = button("", () => openMark(view.open === key ? null : item), { class: "opener", "aria-expanded": item.open, "data-key": key });
  opener.append(time, make("span", {}, item.text ?? describe(item)));
  row.append(sign, opener);
  if (item.open) row.append(details(item));
  return row;
}
