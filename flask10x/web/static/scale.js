// The range of values that a chart shows: where its averages are. What a few readings leave far behind is cut off
// and marked at the edge, or one wrong reading would flatten everything else.

import { textOf } from "./numbers.js";

// Of the values so many at each end may be spikes; the span of the others tells what is far away.
const TAIL = 0.05;
const FAR_SPANS = 1.5;
// What lasts longer is no spike, however far away it is.
const LONGEST_SPIKE = 2;
// So far from its averages a line's minima and maxima are shown, in spans of the averages.
const ROOM_SPANS = 2;
// Fewer values do not show what a spike is.
const LEAST_VALUES = 5;
// A line that hardly moves has no spikes that matter: in units, and as a part of its value.
const LEAST_FAR = 2;
const LEAST_FAR_PART = 0.1;
const TRIANGLE_PIXELS = 7;
const FONT_PIXELS = 11;
// Marks that are closer are one, with the value that is furthest away.
const MARK_PIXELS = 56;

// An infinity in the database is null here.
export const measured = (values) => values.filter((value) => value !== null);
export const least = (values) => measured(values).reduce((a, b) => Math.min(a, b), Infinity);
export const greatest = (values) => measured(values).reduce((a, b) => Math.max(a, b), -Infinity);

/** `[low, high]` of the values without spikes; null without values. */
function usual(values, leastFar) {
  const sorted = measured(values).sort((one, other) => one - other);
  if (!sorted.length) return null;
  const tail = sorted.length < LEAST_VALUES ? 0 : Math.max(1, Math.floor(sorted.length * TAIL));
  const [low, high] = [sorted[tail], sorted.at(-1 - tail)];
  const far = Math.max(FAR_SPANS * (high - low), leastFar);
  const kept = measured(withoutSpikes(values, (value) => value < low - far || value > high + far));
  return [least(kept), greatest(kept)];
}

function withoutSpikes(values, isFar) {
  const kept = [];
  let run = [];
  const end = () => {
    if (run.length > LONGEST_SPIKE) kept.push(...run);
    run = [];
  };
  for (const value of values) {
    if (value !== null && isFar(value)) run.push(value);
    else {
      end();
      kept.push(value);
    }
  }
  end();
  return kept;
}

const median = (values) => measured(values).sort((one, other) => one - other)[Math.floor(measured(values).length / 2)] ?? 0;

/** `[low, high]` that a line has to be seen in, from its buckets `avg`, `min`, `max`; null without values. */
export function limitsOf({ avg, min, max }) {
  const band = median(max.map((high, i) => (high === null || min[i] === null ? null : high - min[i])));
  const far = Math.max(LEAST_FAR, LEAST_FAR_PART * Math.abs(median(avg)), band);
  const averages = usual(avg, far);
  if (!averages) return null;
  const room = ROOM_SPANS * Math.max(averages[1] - averages[0], far);
  const [low] = usual(min, far) ?? averages;
  const [, high] = usual(max, far) ?? averages;
  return [Math.max(Math.min(low, averages[0]), averages[0] - room), Math.min(Math.max(high, averages[1]), averages[1] + room)];
}

/** Where the middles of labels are that would like to be at `wanted` and have these heights: in the same order, none
 * upon another, all between 0 and `room`, and as near to where they belong as that allows. */
export function spread(wanted, heights, room) {
  const order = wanted.map((_, i) => i).sort((one, other) => wanted[one] - wanted[other]);
  let below = 0;
  const offsets = order.map((i) => (below += heights[i]) - heights[i] / 2);
  // Those that would meet are moved together, around the mean of their places.
  const clusters = [];
  order.forEach((i, n) => {
    let cluster = { sum: wanted[i] - offsets[n], count: 1 };
    while (clusters.length && clusters.at(-1).sum / clusters.at(-1).count > cluster.sum / cluster.count) {
      const { sum, count } = clusters.pop();
      cluster = { sum: sum + cluster.sum, count: count + cluster.count };
    }
    clusters.push(cluster);
  });
  const starts = clusters.flatMap(({ sum, count }) => Array(count).fill(Math.max(0, Math.min(room - below, sum / count))));
  const places = [];
  order.forEach((i, n) => (places[i] = starts[n] + offsets[n]));
  return places;
}

/** The buckets of a line that reach beyond the range: `{ i, value, isAbove }`. */
export function beyond({ min, max }, [low, high]) {
  const above = max.map((value, i) => ({ i, value, isAbove: true })).filter(({ value }) => value !== null && value > high);
  const below = min.map((value, i) => ({ i, value, isAbove: false })).filter(({ value }) => value !== null && value < low);
  return [...above, ...below];
}

/** Mark at the edges what lies beyond them. `spikes` are `{ ms, value, isAbove, colour }`; `text` and `ground` are
 * colours. */
export function markSpikes(chart, spikes, unit, { text, ground }) {
  const { ctx } = chart;
  const wide = MARK_PIXELS * devicePixelRatio;
  const placed = spikes.map((spike) => ({ ...spike, x: chart.valToPos(spike.ms, "x", true) })).sort((one, other) => one.x - other.x);
  ctx.save();
  ctx.font = `${FONT_PIXELS * devicePixelRatio}px system-ui, sans-serif`;
  [ctx.textAlign, ctx.textBaseline] = ["left", "middle"];
  ctx.lineWidth = 3 * devicePixelRatio;
  ctx.lineJoin = "round";
  ctx.strokeStyle = ground;
  for (const isAbove of [true, false]) {
    const shown = [];
    for (const spike of placed.filter((one) => one.isAbove === isAbove)) {
      const last = shown.at(-1);
      if (!last || spike.x - last.x >= wide) shown.push(spike);
      else if (spike.value > last.value === isAbove) shown[shown.length - 1] = { ...spike, x: last.x };
    }
    for (const spike of shown) mark(chart, spike, textOf(spike.value, unit), text);
  }
  ctx.restore();
}

/** A triangle at the edge that points to where the value is, and the value. */
function mark({ ctx, bbox }, { x, isAbove, colour }, value, text) {
  const size = TRIANGLE_PIXELS * devicePixelRatio;
  const edge = isAbove ? bbox.top : bbox.top + bbox.height;
  const base = isAbove ? edge + size : edge - size;
  ctx.fillStyle = colour;
  ctx.beginPath();
  ctx.moveTo(x, edge);
  ctx.lineTo(x - size / 2, base);
  ctx.lineTo(x + size / 2, base);
  ctx.fill();
  const width = ctx.measureText(value).width;
  const left = x + size + width > bbox.left + bbox.width ? x - size - width : x + size;
  ctx.strokeText(value, left, (edge + base) / 2);
  ctx.fillStyle = text;
  ctx.fillText(value, left, (edge + base) / 2);
}
