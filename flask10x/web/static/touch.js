// Fingers on a chart: one reads values, two zoom and pan. Up and down still scrolls the page (flask10x.css). The mouse
// with the shift key held moves the range.

// Nearer than this, fingers can't tell a range.
const LEAST_PIXELS = 24;
// A mouse that moves less than this has been pressed.
const MOVED_PIXELS = 4;

/** `view(fromMs, toMs)` shows a range while two fingers move, null that of before; `choose(fromMs, toMs)` is the end
 * of it. */
export function followFingers(chart, { view, choose }) {
  const { over } = chart;
  // Where each finger is, from the left end of the chart.
  const fingers = new Map();
  let held = null;
  let wanted = null;

  const placeOf = (event) => event.clientX - over.getBoundingClientRect().left;
  const read = (x) => chart.setCursor({ left: Math.min(over.clientWidth - 1, Math.max(0, x)), top: 10 });
  const unread = () => chart.setCursor({ left: -10, top: -10 });

  over.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch") return;
    // The release must come here wherever it happens.
    over.setPointerCapture(event.pointerId);
    const x = placeOf(event);
    fingers.set(event.pointerId, x);
    wanted = null;
    if (fingers.size === 1) return read(x);
    unread();
    if (fingers.size === 2) held = [...fingers.values()].map((finger) => chart.posToVal(finger, "x"));
  });

  over.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const x = placeOf(event);
    fingers.set(event.pointerId, x);
    if (fingers.size === 2 && held) spread();
    else if (fingers.size === 1 && !held) read(x);
  });

  /** The instants that the fingers have touched stay under them. */
  function spread() {
    const [one, other] = fingers.values();
    const [first, second] = held;
    // Fingers that meet or cross would want an endless range, or time that runs backwards.
    if ((other - one) * (second - first) <= 0 || Math.abs(other - one) < LEAST_PIXELS) return;
    const msAPixel = (second - first) / (other - one);
    const from = first - one * msAPixel;
    wanted = [from, from + over.clientWidth * msAPixel];
    view(wanted);
  }

  function lift(event) {
    if (!fingers.delete(event.pointerId) || fingers.size) return;
    const chosen = event.type === "pointerup" ? wanted : null;
    if (!chosen && held) view(null);
    held = wanted = null;
    if (chosen) choose(...chosen);
  }
  over.addEventListener("pointerup", lift);
  over.addEventListener("pointercancel", lift);
}

/** `view(range)` shows a range while the mouse moves, null that of before; `choose(fromMs, toMs)` is the end of it. */
export function followShift(chart, { view, choose }) {
  const { over } = chart;
  let start = null;

  over.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse" || event.button || !event.shiftKey) return;
    over.setPointerCapture(event.pointerId);
    const { min, max } = chart.scales.x;
    start = { x: event.clientX, range: [min, max], wanted: null };
  });
  over.addEventListener("pointermove", (event) => {
    if (!start) return;
    const moved = event.clientX - start.x;
    const [from, to] = start.range;
    const by = (moved / over.clientWidth) * (to - from);
    start.wanted = Math.abs(moved) < MOVED_PIXELS ? null : [from - by, to - by];
    view(start.wanted);
  });
  for (const name of ["pointerup", "pointercancel"]) over.addEventListener(name, () => end(name === "pointerup"));

  function end(isChosen) {
    const wanted = start?.wanted;
    start = null;
    if (!wanted) return;
    if (isChosen) choose(...wanted);
    else view(null);
  }
}
