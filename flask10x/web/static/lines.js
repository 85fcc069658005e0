// The answer of /history/series as columns for uPlot: one axis of time, null where a line breaks.

/** The series of each quantity; what most of them measure comes first. */
export function byQuantity(answer) {
  const groups = new Map();
  for (const series of answer.series) {
    if (!groups.has(series.quantity)) groups.set(series.quantity, []);
    groups.get(series.quantity).push(series);
  }
  return [...groups.values()].sort((one, other) => other.length - one.length);
}

/** Where the bucket that starts then is drawn: in its middle, but never outside the range, where uPlot would
 * neither show it nor leave it room on the axis of values. */
export function placeOf(startMs, { bucket_ms: bucketMs, from_ms: fromMs, to_ms: toMs }) {
  return Math.min(toMs, Math.max(fromMs, startMs + bucketMs / 2));
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

/** Times, averages, minima, maxima of one series; nulls in the first bucket of each gap. */
export function withGaps(series, answer) {
  const bucketMs = answer.bucket_ms;
  const gapMs = series.gap_ms ?? Infinity;
  const columns = [[], [], [], []];
  const push = (...values) => columns.forEach((column, place) => column.push(values[place]));
  series.times_ms.forEach((time, i) => {
    const before = series.times_ms[i - 1];
    // Two buckets apart says only that the readings lie between one and three buckets apart.
    if (i && time - before - bucketMs >= gapMs) push(before + bucketMs + bucketMs / 2, null, null, null);
    push(placeOf(time, answer), series.avg[i], series.min[i], series.max[i]);
  });
  return columns;
}

/** One column of times, then average, minimum and maximum of each series. */
export function aligned(group, answer) {
  const expand = 2;
  return uPlot.join(
    group.map((series) => withGaps(series, answer)),
    group.map(() => [0, expand, expand, expand]),
  );
}

/** The places of points that have no neighbour to draw a line to. */
export function lonely(values) {
  const found = [];
  let before = null;
  let candidate = -1;
  values.forEach((value, place) => {
    if (value === undefined) return;
    if (value === null) {
      if (candidate >= 0) found.push(candidate);
      candidate = -1;
    } else {
      candidate = before === null ? place : -1;
    }
    before = value;
  });
  if (candidate >= 0) found.push(candidate);
  return found;
}
