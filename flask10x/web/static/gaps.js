// Where a line has no data: told under the cursor and hatched in the chart.

const HATCH_PIXELS = 7;
const LANE_PIXELS = 6;

/** Spans `[fromMs, toMs]` of the range in which a series has nothing, its ends included; none after now. */
export function gapsOf(series, answer, nowMs) {
  const { bucket_ms: bucketMs, from_ms: fromMs } = answer;
  const untilMs = Math.min(answer.to_ms, nowMs);
  // Like `withGaps`: each span is empty from its first to its last moment.
  const ends = [fromMs, ...series.times_ms.map((time) => time + bucketMs)];
  const starts = [...series.times_ms, untilMs];
  return ends.map((end, i) => [end, starts[i]]).filter(([from, to]) => series.gap_ms && to - from >= series.gap_ms);
}

/** Hatch the gaps: the whole height for a line alone, else at the bottom a lane for each line that has any. */
export function hatch(chart, gaps, styles) {
  const { ctx, bbox } = chart;
  const lane = gaps.length === 1 ? bbox.height : LANE_PIXELS * devicePixelRatio;
  let top = bbox.top + bbox.height;
  ctx.save();
  gaps.forEach((spans, place) => {
    if (!spans.length || !chart.series[place * 3 + 1].show) return;
    top -= lane;
    // A lane is too low for lines alone to be seen.
    const fills = gaps.length === 1 ? [] : [styles[place].band];
    for (const fill of [...fills, pattern(ctx, styles[place].colour)]) {
      ctx.fillStyle = fill;
      for (const span of spans) {
        const [left, right] = span.map((ms) => Math.min(bbox.left + bbox.width, Math.max(bbox.left, chart.valToPos(ms, "x", true))));
        ctx.fillRect(left, top, right - left, lane);
      }
    }
  });
  ctx.restore();
}

/** Slanting lines to fill with. */
function pattern(ctx, colour) {
  const size = HATCH_PIXELS * devicePixelRatio;
  const tile = Object.assign(document.createElement("canvas"), { width: size, height: size });
  const pen = tile.getContext("2d");
  pen.strokeStyle = colour;
  pen.globalAlpha = 0.55;
  pen.lineWidth = devicePixelRatio;
  pen.beginPath();
  // Twice more, so that the corners of neighbouring tiles meet.
  for (const shift of [-size, 0, size]) {
    pen.moveTo(shift, size);
    pen.lineTo(shift + size, 0);
  }
  pen.stroke();
  return ctx.createPattern(tile, "repeat");
}
