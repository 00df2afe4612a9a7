
// ---- where things lie on a chart

const TOP = 18, BANDS = 20, BOTTOM = 20, SIDE = 6;
const SPAN_MIN = 3600; // seconds shown at least; more as soon as more was seen, up to the whole range
const TICKS = [[1, 1 / 6], [2, 0.25], [7, 1], [13, 2], [25, 6], [49, 12], [200, 24]]; // up to so many hours a tick every so many

// What can be shown: all charts begin where anything was seen first.
function extent(h) {
  const first = Object.values(h.chains).map(({ best }) => h.from + best.findIndex((n) => n !== null) * h.slot_seconds);
  const end = h.from + h.slots * h.slot_seconds;
  const marks = [...h.marks.map((mark) => mark.at / 1000), ...h.spans.map((span) => span.from / 1000)];
  return { begin: Math.max(h.from, Math.min(end - SPAN_MIN, ...first, ...marks)), end };
}

function frame(name) {
  const card = by(`chain-${name}`), h = view.history;
  if (!card || !h) return null;
  const plot = card.querySelector(".plot"), chart = card.querySelector(".chart");
  const { width, height } = plot.getBoundingClientRect();
  const { from, slots, slot_seconds: step } = h;
  const { best = [], target = [], reference = [], phases = [] } = h.chains[name] || {};
  const { begin, end } = view.zoom ?? extent(h);
  const visible = (values) => values.filter((n, slot) => n !== null && from + (slot + 1) * step > begin && from + slot * step < end);
  const all = [...visible(best), ...visible(target), ...visible(reference)];
  const low = Math.min(...all), high = Math.max(...all);
  const x = (seconds) => SIDE + ((seconds - begin) / (end - begin)) * (width - 2 * SIDE);
  const bottom = height - BOTTOM - BANDS;
  return {
    card, plot, chart, width, height, bottom, best, target, reference, phases, low, high, slots, from, step, begin, end, x, any: all.length > 0,
    // Of the middle of a slot; of a height.
    at: (slot) => x(from + (slot + 0.5) * step),
    y: (n) => TOP + (1 - (high > low ? (n - low) / (high - low) : 0.5)) * (bottom - TOP - 4) + 2,
    time: (px) => begin + ((px - SIDE) / (width - 2 * SIDE)) * (end - begin),
    slot: (seconds) => clamp(Math.floor((seconds - from) / step), 0, slots - 1),
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
