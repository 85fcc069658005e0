// Where a line has no data: shown under the cursor and hatched in the chart.

import { endOf, isShown } from "./lines.js";

const HATCH_PIXELS = 7;
const LANE_PIXELS = 6;

/** Spans `[fromMs, toMs]` of the range in which a series has nothing, its ends included; none after now. Those before
 * its buckets are judged by the server, the one behind the last by how often the station sends at the end. */
export function gapsOf({ times_ms: times, gaps, gap_ms: gapMs }, answer, nowMs) {
  // Each span is empty from its first to its last moment.
  const endBefore = (i) => (i ? endOf(times[i - 1], answer) : answer.from_ms);
  const last = [endBefore(times.length), Math.min(answer.to_ms, nowMs)];
  return [...gaps.map((i) => [endBefore(i), times[i]]), ...(gapMs && last[1] - last[0] >= gapMs ? [last] : [])];
}

/** How many pixels the lanes of the gaps need below the chart. */
export const stripOf = (gaps) => (gaps.length === 1 ? 0 : LANE_PIXELS * gaps.filter((spans) => spans.length).length);

/** Hatch the gaps: the whole height for a line alone, else below the chart, and so many pixels of other lanes, a lane for
 * each line that has any, so that no other line is covered. */
export function hatch(chart, gaps, styles, lanePixels) {
  const { ctx, bbox } = chart;
  const isAlone = gaps.length === 1;
  const lane = isAlone ? bbox.height : LANE_PIXELS * devicePixelRatio;
  let top = isAlone ? bbox.top : bbox.top + bbox.height + lanePixels * devicePixelRatio;
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
