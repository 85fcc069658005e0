// Fingers on a chart: one across it chooses a range, two zoom. Up and down still scrolls the page (flask10x.css).

// A finger is less exact than a mouse.
const LEAST_PIXELS = 24;

/** `view(fromMs, toMs)` shows a range while two fingers move, `choose(fromMs, toMs)` is the end of it. */
export function followFingers(chart, { view, choose }) {
  const { over } = chart;
  const fingers = new Map();
  let held = null;
  let wanted = null;

  const placeOf = (event) => event.clientX - over.getBoundingClientRect().left;
  const msAt = (x) => chart.posToVal(x, "x");
  const unmark = () => chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);

  over.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch") return;
    // The release must come here wherever it happens.
    over.setPointerCapture(event.pointerId);
    const x = placeOf(event);
    fingers.set(event.pointerId, { start: x, x });
    unmark();
    wanted = null;
    if (fingers.size === 2) held = [...fingers.values()].map((finger) => msAt(finger.x));
  });

  over.addEventListener("pointermove", (event) => {
    const finger = fingers.get(event.pointerId);
    if (!finger) return;
    finger.x = placeOf(event);
    if (fingers.size === 2 && held) spread();
    else if (fingers.size === 1 && !held) mark(finger);
  });

  /** The instants that the fingers have touched stay under them. */
  function spread() {
    const [one, other] = [...fingers.values()].map((finger) => finger.x);
    const [first, second] = held;
    // Fingers that meet or cross would want an endless range, or time that runs backwards.
    if ((other - one) * (second - first) <= 0 || Math.abs(other - one) < LEAST_PIXELS) return;
    const msAPixel = (second - first) / (other - one);
    const from = first - one * msAPixel;
    wanted = [from, from + over.clientWidth * msAPixel];
    view(...wanted);
  }

  function mark({ start, x }) {
    const [left, right] = [start, x].map((at) => Math.min(over.clientWidth, Math.max(0, at))).sort((a, b) => a - b);
    const enough = right - left >= LEAST_PIXELS;
    wanted = enough ? [msAt(left), msAt(right)] : null;
    chart.setCursor({ left: Math.min(over.clientWidth, Math.max(0, x)), top: 10 });
    if (enough) chart.setSelect({ left, width: right - left, top: 0, height: over.clientHeight }, false);
    else unmark();
  }

  function lift(event) {
    if (!fingers.delete(event.pointerId) || fingers.size) return;
    const chosen = event.type === "pointerup" ? wanted : null;
    if (!chosen && held) view(null);
    held = wanted = null;
    unmark();
    if (chosen) choose(...chosen);
  }
  over.addEventListener("pointerup", lift);
  over.addEventListener("pointercancel", lift);
}
