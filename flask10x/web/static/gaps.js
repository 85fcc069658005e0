// Where a line has no data: shown under the cursor and hatched in the chart.

import { endOf, isShown } from "./lines.js";

const HATCH_PIXELS = 7;
const LANE_PIXELS = 6;

/** Spans `[fromMs, toMs]` of the range in which a series has nothing, its ends included; none after now, and none
 * before the first reading that there ever was. */
export function gapsOf(series, answer, nowMs) {
  const untilMs = Math.min(answer.to_ms, nowMs);
  // Like `withGaps`: each span is empty from its first to its last moment.
  const before = series.has_begun === false ? Infinity : answer.from_ms;
  const ends = [before, ...series.times_ms.map((time) => endOf(time, answer))];
  const starts = [...series.times_ms, untilMs];
  return ends.map((end, i) => [end, starts[i]]).filter(([from, to]) => series.gap_ms && to - from >= series.gap_ms);
}

/** How many pixels the lanes of the gaps need below the chart. */
export const stripOf = (gaps) => (gaps.length === 1 ? 0 : LANE_PIXELS * gaps.filter((spans) => spans.length).length);

/** Hatch the gaps: the whole height for a line alone, else below the chart a lane for each line that has any, so that
 * no other line is covered. */
export function hatch(chart, gaps, styles) {
  const { ctx, bbox } = chart;
  const isAlone = gaps.length === 1;
  const lane = isAlone ? bbox.height : LANE_PIXELS * devicePixelRatio;
  let top = isAlone ? bbox.top : bbox.top + bbox.height;
  ctx.save();
  gaps.forEach((spans, place) => {
    if (!spans.length || !isShown(chart, place)) return;
    // A lane is too low for lines alone to be seen.
    const fills = isAlone ? [] : [styles[place].band];
    for (const fill of [...fills, pattern(ctx, styles[place].colour)]) {
      ctx.fillStyle = fill;
      for (const span of spans) {
        const [left, right] = span.map((ms) => Math.min(bbox.left + bbox.width, Math.max(bbox.left, chart.valToPos(ms, "x", true))));
        ctx.fillRect(left, top, right - left, lane);
      }
    }
    top += lane;
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
