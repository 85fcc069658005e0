// The answer of /history/series as columns for uPlot: one axis of time, null where a line breaks.

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

/** The series of each quantity; what most of them measure comes first. */
export function byQuantity(answer) {
  const groups = new Map();
  for (const series of answer.series) {
    if (!groups.has(series.quantity)) groups.set(series.quantity, []);
    groups.get(series.quantity).push(series);
  }
  return [...groups.values()].sort((one, other) => other.length - one.length);
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

/** The bucket of a series that is nearest to a time, but no further away than a gap; null for none. */
export function nearestTo({ times_ms: times, gap_ms: gap }, time, answer) {
  const away = (i) => Math.abs(placeOf(times[i], answer) - time);
  let nearest = 0;
  times.forEach((_, i) => {
    if (away(i) < away(nearest)) nearest = i;
  });
  return away(nearest) <= Math.max(answer.bucket_ms, gap ?? answer.bucket_ms) ? nearest : null;
}

/** Times, averages, minima, maxima of one series, and the averages of buckets that are not whole, with those beside
 * them: these are drawn pale. Nulls in the first bucket of each gap. */
export function withGaps(series, answer) {
  const bucketMs = answer.bucket_ms;
  const gapMs = series.gap_ms ?? Infinity;
  const partial = new Set(series.partial);
  const columns = [[], [], [], [], []];
  const push = (...values) => columns.forEach((column, place) => column.push(values[place]));
  series.times_ms.forEach((time, i) => {
    const end = i ? endOf(series.times_ms[i - 1], answer) : null;
    // Two buckets apart says only that the readings lie between one and three buckets apart.
    if (i && time - end >= gapMs) push(end + bucketMs / 2, null, null, null, null);
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
