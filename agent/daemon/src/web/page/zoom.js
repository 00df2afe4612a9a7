
// ---- time by pointer, finger and keyboard

const ZOOM = 1.6;
const NEAR_PX = 12; // from a mark, to open it
const SLOTS_MIN = 6; // shown at least

function zoom(begin, end) {
  const h = view.history;
  if (!h) return;
  const whole = extent(h);
  const length = clamp(end - begin, SLOTS_MIN * h.slot_seconds, whole.end - whole.begin);
  const from = clamp(begin + (end - begin - length) / 2, whole.begin, whole.end - length);
  view.zoom = length < whole.end - whole.begin ? { begin: from, end: from + length } : null;
  drawAll();
}

// By a factor, with what is at a time where it was.
function zoomBy(factor, around) {
  const { begin, end } = view.zoom ?? extent(view.history);
  const at = around ?? view.cursor ?? end;
  const fixed = clamp(at, begin, end);
  zoom(fixed - (fixed - begin) / factor, fixed + (end - fixed) / factor);
}

function pan(seconds) {
  const { begin, end } = view.zoom ?? extent(view.history);
  zoom(begin + seconds, end + seconds);
}

function moveTo(time) {
  const h = view.history, whole = extent(h);
  view.cursor = clamp(time, whole.begin, whole.end - 1);
  const { begin, end } = view.zoom ?? whole;
  if (view.cursor < begin) pan(view.cursor - begin);
  else if (view.cursor > end) pan(view.cursor - end);
  else readAll();
}

function readAll() {
  for (const name of Object.keys(view.status?.chains ?? {})) {
    const f = frame(name);
    if (f) read(f);
  }
}

// The mark next to a place on a chart.
function markAt(f, px) {
  const far = (mark) => Math.abs(f.x(mark.at / 1000) - px);
  return view.history.marks.filter((mark) => far(mark) < NEAR_PX).sort((a, b) => far(a) - far(b))[0];
}

// The shortest of what lasted at a place on a chart.
function spanAt(f, px) {
  const end = (span) => f.x((span.to ?? f.end * 1000) / 1000);
  const far = (span) => Math.max(f.x(span.from / 1000) - px, px - end(span));
  const length = (span) => end(span) - f.x(span.from / 1000);
  const near = view.history.spans.filter((span) => far(span) < NEAR_PX / 2).sort((a, b) => length(a) - length(b));
  return near[0] && itemOf(near[0]);
}

function openFrom(mark) {
  if (!mark) return;
  openMark(mark);
  by("marks").querySelector(`[data-key="${keyOf(mark)}"]`)?.focus();
}

function onKey(name, event) {
  const h = view.history, f = frame(name);
  if (!h || !f || event.ctrlKey || event.metaKey || event.altKey) return;
  const { begin, end } = f, step = h.slot_seconds * (event.shiftKey ? 10 : 1);
  const at = view.cursor ?? end - 1;
  const acts = {
    ArrowLeft: () => moveTo(at - step), ArrowRight: () => moveTo(at + step),
    ArrowDown: () => moveTo(at - step), ArrowUp: () => moveTo(at + step),
    Home: () => moveTo(begin), End: () => moveTo(end - 1),
    PageUp: () => pan((begin - end) / 2), PageDown: () => pan((end - begin) / 2),
    "+": () => zoomBy(ZOOM), "=": () => zoomBy(ZOOM), "-": () => zoomBy(1 / ZOOM),
    0: () => zoom(0, Infinity), Escape: () => { view.cursor = null; readAll(); },
    Enter: () => openFrom(markAt(f, f.x(at)) ?? spanAt(f, f.x(at))),
  };
  if (!acts[event.key]) return;
  event.preventDefault();
  acts[event.key]();
}

function listen(name, plot) {
  const pointers = new Map();
  let moved = false;
  const px = (event) => event.clientX - plot.getBoundingClientRect().left;
  plot.addEventListener("keydown", (event) => onKey(name, event));
  plot.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, px(event));
    if (pointers.size === 1) moved = false;
    plot.setPointerCapture(event.pointerId);
  });
  plot.addEventListener("pointermove", (event) => {
    const f = frame(name);
    if (!f) return;
    const before = pointers.get(event.pointerId), now = px(event);
    if (before !== undefined) pointers.set(event.pointerId, now);
    if (pointers.size === 2) {
      // Both times stay under both fingers.
      const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      moved = true;
      if (Math.abs(now - other) > NEAR_PX) zoomBy(Math.abs(now - other) / Math.max(1, Math.abs(before - other)), f.time(other));
    } else if (before !== undefined && view.zoom && (moved || Math.abs(now - before) > 2)) {
      moved = true;
      pan(f.time(before) - f.time(now));
    } else {
      moveTo(f.time(now));
    }
  });
  plot.addEventListener("pointerup", (event) => {
    pointers.delete(event.pointerId);
    const f = frame(name);
    if (!f || moved || pointers.size > 0) return;
    // The bands are below the heights.
    const isOnBand = event.clientY - plot.getBoundingClientRect().top > f.bottom;
    openFrom((isOnBand && spanAt(f, px(event))) || markAt(f, px(event)));
  });
  plot.addEventListener("pointercancel", (event) => pointers.delete(event.pointerId));
  plot.addEventListener("pointerleave", (event) => {
    if (event.pointerType !== "mouse" || pointers.size > 0) return;
    view.cursor = null;
    readAll();
  });
  // With the control key, as browsers zoom, and as they report two fingers on a touch pad.
  plot.addEventListener("wheel", (event) => {
    const f = frame(name);
    if (!f || !event.ctrlKey) return;
    event.preventDefault();
    zoomBy(event.deltaY < 0 ? ZOOM : 1 / ZOOM, f.time(px(event)));
  }, { passive: false });
}

function chooseRange(range) {
  view.range = range;
  view.zoom = null;
  showMarks();
  drawAll();
  refresh(view.status);
}

for (const node of document.querySelectorAll("[data-range]")) node.addEventListener("click", () => chooseRange(node.dataset.range));
by("zoom-in").addEventListener("click", () => zoomBy(ZOOM));
by("zoom-out").addEventListener("click", () => zoomBy(1 / ZOOM));
by("zoom-all").addEventListener("click", () => zoom(0, Infinity));
