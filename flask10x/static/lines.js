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

/** Times, averages, minima, maxima of one series; nulls in the first bucket of each gap. */
export function withGaps(series, bucketMs) {
  const gapMs = series.gap_ms ?? Infinity;
  const columns = [[], [], [], []];
  const push = (...values) => columns.forEach((column, place) => column.push(values[place]));
  series.times_ms.forEach((time, i) => {
    const before = series.times_ms[i - 1];
    // Two buckets apart says only that the readings lie between one and three buckets apart.
    if (i && time - before - bucketMs >= gapMs) push(before + bucketMs + bucketMs / 2, null, null, null);
    push(time + bucketMs / 2, series.avg[i], series.min[i], series.max[i]);
  });
  return columns;
}

/** One column of times, then average, minimum and maximum of each series. */
export function aligned(group, bucketMs) {
  const expand = 2;
  return uPlot.join(
    group.map((series) => withGaps(series, bucketMs)),
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
