// The mouse with the shift key held moves the range of a chart.

const LEAST_PIXELS = 4;

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
    start.wanted = Math.abs(moved) < LEAST_PIXELS ? null : [from - by, to - by];
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
