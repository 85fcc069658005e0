// The answer of /history/series as columns for uPlot: one axis of time, null where a line breaks.

import { limitsOf } from "./scale.js";
import { chartOf, isRaw, placeOfQuantity, placeOfStation, silentLines, usualOf } from "./texts.js";

/** How the page asks for the answer, and the answer as it is otherwise: it comes in a third of the bytes. */
export const PACKED = "application/vnd.flask10x.series+json";
export function unpacked(answer) {
  if (answer.starts_ms) answer.starts_ms = summed(answer.starts_ms);
  const lines = [...answer.series, ...(answer.compared?.series ?? [])];
  for (const line of lines) {
    for (const name of ["times_ms", "own_ms"]) if (line[name]) line[name] = summed(line[name]);
    if (line.digits === undefined) continue;
    const scale = 10 ** line.digits;
    const avg = summed(line.avg);
    // What is compared has only averages.
    line.min = line.below?.map((below, i) => (avg[i] - below) / scale);
    line.max = line.above?.map((above, i) => (avg[i] + above) / scale);
    line.avg = avg.map((value) => value / scale);
  }
  return answer;
}

/** The numbers of which there are the first one and differences. */
function summed(differences) {
  let sum = 0;
  return differences.map((difference) => (sum += difference));
}

/** The lines of an answer, with an empty one where a station that is silent would have one: it keeps its place.
 * `isAsked(line)` says whether the query is for it. */
export function withSilent(series, isAsked) {
  const empty = Object.entries(silentLines()).flatMap(([endpoint, columns]) =>
    Object.entries(columns).flatMap(([measurement, quantity]) => {
      const like = series.find((one) => one.quantity === quantity);
      const line = { endpoint, measurement, quantity, unit: like?.unit, gap_ms: 1, gaps: [], times_ms: [], min: [], avg: [], max: [] };
      return like && usualOf(line) && isAsked(line) && !series.some((one) => idOf(one) === idOf(line)) ? [line] : [];
    }),
  );
  return [...series, ...empty].sort((one, other) => placeOfStation(one.endpoint) - placeOfStation(other.endpoint));
}

// Lines are in charts of their own, or one would press the others flat, where they are further apart than the widest of
// them is, but not for less than this, in its unit. In any other unit they are apart by more than three times the widest, and
// more than a part of the value.
const FAR = { "°C": 10, "%": 40, ppm: 1500, hPa: 20 };
const FAR_SPANS = 3;
const FAR_PART = 0.1;
// What was together in the last drawing parts later, what was apart comes together later: as the range moves on, charts
// neither come nor go at each reading.
const KEPT = { together: 1.2, apart: 0.8 };
// In which chart each line was last.
const chartBefore = new Map();

/** The lines of each chart of the page: those of one quantity that are near each other. What people ask for comes first,
 * then what is apart from the others of its quantity, last what a sensor gives that nobody reads: `isRaw` of a group.
 * `isFirst` is that of its quantity which has the most lines. */
export function chartsOf(answer) {
  const groups = grouped(answer.series, ({ quantity }) => quantity).flatMap(parted);
  groups.forEach((group, number) => group.forEach((series) => chartBefore.set(idOf(series), number)));
  const rank = (group) => [group.isRaw, !group.isFirst, placeOfQuantity(group[0].quantity)];
  return groups.sort((one, other) => rank(one).map((value, i) => value - rank(other)[i]).find(Boolean) ?? 0);
}

export const idOf = ({ endpoint, measurement }) => `${endpoint}.${measurement}`;

/** The lines of a quantity, in groups of lines that are near each other. `stations.toml` may say of a station that its
 * lines are with the others, or by themselves. */
function parted(series) {
  const alone = grouped(series.filter(({ endpoint }) => chartOf(endpoint) === "own"), ({ endpoint }) => endpoint);
  const others = series.filter(({ endpoint }) => chartOf(endpoint) !== "own");
  const groups = clustersOf(others.filter(({ endpoint }) => chartOf(endpoint) !== "shared")).sort((one, other) => other.length - one.length);
  const [first = []] = groups;
  const most = others.filter((one) => first.includes(one) || chartOf(one.endpoint) === "shared");
  const all = [most, ...groups.slice(1), ...alone].filter((group) => group.length);
  return all.map((group, number) => Object.assign(group, { isFirst: !number, isRaw: isRaw(group[0].quantity) }));
}

function grouped(series, keyOf) {
  const keys = [...new Set(series.map(keyOf))];
  return keys.map((key) => series.filter((one) => keyOf(one) === key));
}

/** The lines parted wherever nothing is for further than each of them moves in a day: as they usually are, so that each
 * range has the same charts. What has no days yet is where it is drawn. */
function clustersOf(series) {
  const ranges = series.map((one) => usualOf(one) ?? limitsOf(one) ?? [-Infinity, Infinity]);
  const order = series.map((_, i) => i).sort((one, other) => ranges[one][0] - ranges[other][0]);
  const clusters = [];
  let [top, widest, last] = [Infinity, 0, null];
  for (const i of order) {
    const [low, high] = ranges[i];
    const width = Math.max(widest, high - low);
    const least = FAR[series[i].unit];
    const far = least ? Math.max(width, least) : Math.max(FAR_SPANS * width, FAR_PART * Math.max(Math.abs(low), Math.abs(top)));
    if (!clusters.length || low - top > far * kept(series[i], last)) {
      clusters.push([i]);
      [top, widest] = [high, high - low];
    } else {
      clusters.at(-1).push(i);
      [top, widest] = [Math.max(top, high), width];
    }
    last = series[i];
  }
  return clusters.map((places) => places.sort((one, other) => one - other).map((i) => series[i]));
}

function kept(one, other) {
  const [place, otherPlace] = [one, other].map((series) => series && chartBefore.get(idOf(series)));
  return place === undefined || otherPlace === undefined || otherPlace === null ? 1 : KEPT[place === otherPlace ? "together" : "apart"];
}

// uPlot's columns of a line: averages, minima, maxima, averages of buckets that are not whole.
export const COLUMNS = 4;
export const columnOf = (place) => place * COLUMNS + 1;

/** Whether the reader has left the line at this place of its group switched on. */
export const isShown = (chart, place) => chart.series[columnOf(place)].show;

/** Where the bucket that starts then ends. Days, weeks and months differ in length. */
export function endOf(startMs, { bucket_ms: bucketMs, starts_ms: starts }) {
  if (!starts) return startMs + bucketMs;
  let [low, high] = [0, starts.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (starts[middle] > startMs) high = middle;
    else low = middle + 1;
  }
  return starts[low] ?? startMs + bucketMs;
}

/** Where the bucket that starts then is drawn: in its middle, but never outside the range, where uPlot would
 * neither show it nor leave it room on the axis of values. */
export function placeOf(startMs, answer) {
  return Math.min(answer.to_ms, Math.max(answer.from_ms, (startMs + endOf(startMs, answer)) / 2));
}

/** The bucket of a series that is nearest to a time, if its line goes on to there or is no further away than a gap; null
 * for none. */
export function nearestTo({ times_ms: times, gaps, gap_ms: gap }, time, answer) {
  const away = (i) => Math.abs(placeOf(times[i], answer) - time);
  let nearest = 0;
  times.forEach((_, i) => {
    if (away(i) < away(nearest)) nearest = i;
  });
  const later = time > placeOf(times[nearest], answer) ? nearest + 1 : nearest;
  const isOnLine = later > 0 && later < times.length && !gaps.includes(later);
  return isOnLine || away(nearest) <= Math.max(answer.bucket_ms, gap ?? answer.bucket_ms) ? nearest : null;
}

/** Times, averages, minima, maxima of one series, and the averages of buckets that are not whole, with those beside
 * them: these are drawn pale. Nulls in the first bucket of each gap. */
export function withGaps(series, answer) {
  const bucketMs = answer.bucket_ms;
  const gaps = new Set(series.gaps);
  const partial = new Set(series.partial);
  const columns = [[], [], [], [], []];
  const push = (...values) => columns.forEach((column, place) => column.push(values[place]));
  // A cursor needs times.
  if (!series.times_ms.length) for (const time of [answer.from_ms, answer.to_ms]) push(time, null, null, null, null);
  series.times_ms.forEach((time, i) => {
    if (i && gaps.has(i)) push(endOf(series.times_ms[i - 1], answer) + bucketMs / 2, null, null, null, null);
    const average = series.avg[i];
    const isBeside = partial.has(i - 1) || partial.has(i) || partial.has(i + 1);
    push(placeOf(time, answer), partial.has(i) ? null : average, series.min[i], series.max[i], isBeside ? average : null);
  });
  return columns;
}

/** One column of times, then the columns of each series. */
export function aligned(group, answer) {
  const expand = 2;
  return uPlot.join(
    group.map((series) => withGaps(series, answer)),
    group.map(() => [0, ...Array(COLUMNS).fill(expand)]),
  );
}

/** The places of points that have no neighbour to draw a line to. */
export function lonely(values) {
  const places = [];
  let before = null;
  let candidate = -1;
  values.forEach((value, place) => {
    if (value === undefined) return;
    if (value === null) {
      if (candidate >= 0) places.push(candidate);
      candidate = -1;
    } else {
      candidate = before === null ? place : -1;
    }
    before = value;
  });
  if (candidate >= 0) places.push(candidate);
  return places;
}
