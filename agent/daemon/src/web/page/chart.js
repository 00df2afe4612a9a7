
// ---- the charts

// Whether a phase is shown as a band: not where the chain is in sync.
const isWork = (phase) => phase !== "idle";

function draw(name) {
  const f = frame(name);
  if (!f || f.width === 0) return;
  const { chart, width, height, bottom } = f;
  const parts = [];
  const gaps = drawGaps(f, parts);
  const hours = (f.end - f.begin) / 3600;
  const every = 3600 * TICKS.find(([most]) => hours <= most)[1];
  for (let time = Math.ceil(f.begin / every) * every; time < f.end; time += every) {
    const x = f.x(time);
    parts.push(make("line", { class: "grid", x1: x, x2: x, y1: TOP, y2: bottom }));
    const anchor = x < 20 ? "start" : x > width - 20 ? "end" : "middle";
    const text = every < 43200 ? clock(time * 1000).slice(0, 5) : minute(time * 1000).slice(0, every < 86400 ? 11 : 5);
    parts.push(make("text", { x, y: height - 5, "text-anchor": anchor }, text));
  }
  parts.push(make("line", { class: "grid", x1: 0, x2: width, y1: bottom, y2: bottom }));
  parts.push(make("path", { class: "line reference", d: path(f, f.reference) }));
  parts.push(make("path", { class: "line target", d: path(f, f.target) }));
  parts.push(make("path", { class: "line best", d: path(f, f.best) }));
  drawBands(f, parts);
  for (const mark of view.history.marks) {
    const x = f.x(mark.at / 1000);
    if (x < 0 || x > width) continue;
    const g = make("g", { class: keyOf(mark) === view.open ? "mark open" : "mark", "data-tone": tone(mark) });
    const sign = make("path", { d: shape(mark), transform: `translate(${x - 5} 3) scale(0.625)`, "stroke-width": 0 });
    g.append(make("title", {}, `${clock(mark.at)} ${describe(mark)}`), make("line", { x1: x, x2: x, y1: TOP - 4, y2: bottom }), sign);
    parts.push(g);
  }
  if (f.any) {
    parts.push(make("text", { class: "halo", x: 2, y: TOP + 12 }, count(f.high)));
    if (f.high > f.low) parts.push(make("text", { class: "halo", x: width - 2, y: bottom - 6, "text-anchor": "end" }, count(f.low)));
  } else {
    parts.push(make("text", { class: "halo", x: width / 2, y: height / 2, "text-anchor": "middle" }, "nothing was seen of this chain then"));
  }
  parts.push(make("line", { class: "cursor", y1: TOP, y2: height - BOTTOM, visibility: "hidden" }));
  chart.replaceChildren(...parts);
  chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const ends = f.best.filter((n) => n !== null);
  const missing = gaps ? `; nothing seen for ${duration(gaps * f.step)}` : "";
  say(f.card.querySelector(".summary"), ends.length
    ? `The ${name} since ${minute(f.begin * 1000)}: best from ${count(ends[0])} to ${count(ends[ends.length - 1])}${missing}. Marks are listed below.`
    : `The ${name}: nothing seen yet.`);
  read(f);
}

function drawAll() {
  const h = view.history;
  if (!h) return;
  const { begin, end } = view.zoom ?? extent(h);
  say(by("shown"), `${minute(begin * 1000)} to ${minute(end * 1000)} UTC`);
  by("zoom-all").disabled = by("zoom-out").disabled = view.zoom === null;
  for (const node of document.querySelectorAll("[data-range]")) node.setAttribute("aria-pressed", node.dataset.range === view.range);
  for (const name of Object.keys(view.status?.chains ?? {})) draw(name);
}

// Shades where nothing was seen, from the first sight on; before it no agent was there. Returns the number of such slots.
function drawGaps(f, parts) {
  const first = f.best.findIndex((n) => n !== null);
  let missing = 0, begin = null;
  for (let slot = Math.max(0, first); first >= 0 && slot <= f.slots; slot += 1) {
    // The newest slot alone has only just begun.
    const gap = slot < f.slots && f.best[slot] === null && (begin !== null || slot < f.slots - 1);
    if (gap && begin === null) begin = slot;
    if (gap) missing += 1;
    if (!gap && begin !== null) {
      const x = f.at(begin - 0.5);
      parts.push(make("rect", { class: "gaps", x, y: TOP, width: f.at(slot - 0.5) - x, height: f.bottom - TOP }));
      begin = null;
    }
  }
  return missing;
}

// Below the heights: the phases of this chain, and what lasted.
function drawBands(f, parts) {
  const band = (from, to, y, name, title) => {
    const begin = clamp(f.x(from), 0, f.width), end = clamp(f.x(to), 0, f.width);
    if (end <= begin && (f.x(to) < 0 || f.x(from) > f.width)) return;
    const rect = make("rect", { class: `band ${name}`, x: begin, y, width: Math.max(2, end - begin), height: 6 });
    rect.append(make("title", {}, title));
    parts.push(rect);
  };
  for (const [slot, length, phase] of f.phases.filter(([, , phase]) => isWork(phase))) {
    band(f.from + slot * f.step, f.from + (slot + length) * f.step, f.bottom + 3, "phase", words(phase));
  }
  for (const span of view.history.spans) band(span.from / 1000, (span.to ?? f.end * 1000) / 1000, f.bottom + 12, span.what, lasted(span));
}

// What was there at the time of the crosshair.
function read(f) {
  const reading = f.card.querySelector(".reading"), cursor = f.chart.querySelector(".cursor");
  if (!cursor) return;
  const shown = view.cursor !== null && view.cursor >= f.begin && view.cursor <= f.end;
  const slot = f.slot(shown ? view.cursor : f.end);
  const text = values(f, slot);
  say(reading, shown ? text : "");
  cursor.setAttribute("visibility", shown ? "visible" : "hidden");
  for (const key of ["x1", "x2"]) cursor.setAttribute(key, f.at(slot));
  f.plot.setAttribute("aria-valuemin", 0);
  f.plot.setAttribute("aria-valuemax", f.slots - 1);
  f.plot.setAttribute("aria-valuenow", slot);
  f.plot.setAttribute("aria-valuetext", text);
}

function values(f, slot) {
  const begin = f.from + slot * f.step, end = begin + f.step;
  const heights = [["best", f.best], ["target", f.target], ["reference", f.reference]]
    .filter(([name, series]) => name !== "reference" || series.length > 0)
    .map(([name, series]) => `${name} ${known(series[slot], count)}`);
  const phase = f.phases.find(([first, length, name]) => slot >= first && slot < first + length && isWork(name));
  const marks = view.history.marks.filter((mark) => mark.at / 1000 >= begin && mark.at / 1000 < end).map(describe);
  const spans = view.history.spans.filter((span) => span.from / 1000 < end && (span.to ?? Infinity) / 1000 > begin).map(lasted);
  return [`${minute(begin * 1000)}: ${heights.join(", ")}`, phase && words(phase[2]), ...marks, ...spans].filter(Boolean).join("; ");
}
