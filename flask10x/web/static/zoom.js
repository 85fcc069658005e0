// Ranges of time to look closer, to look wider, and to go back. Everything is in milliseconds.

// A range that a reader can still drag across.
const LEAST_SPAN_MS = 10_000;
// Fewer readings than these tell nothing.
const LEAST_READINGS = 2;
// So much a range may differ from a round one that it is written as.
const ROUNDED_PART = 0.002;
const UNITS = [["d", 86_400], ["h", 3600], ["m", 60], ["s", 1]];

/** What the charts show now: `{ from, to, isLive, firstMs, nowMs, times, leastMs }`. A live range goes on until now. */
export function viewOf(answer, { isLive, nowMs }) {
  const { from_ms: from, to_ms: to, first_ms: firstMs, series } = answer;
  const intervals = series.map((one) => one.interval_ms).filter(Boolean);
  return {
    from,
    to: isLive ? nowMs : to,
    isLive,
    nowMs,
    firstMs: firstMs ?? from,
    times: series.flatMap((one) => one.times_ms.map((time, i) => time + (one.times_ms[i + 1] - time || answer.bucket_ms) / 2)),
    leastMs: intervals.length ? Math.max(LEAST_SPAN_MS, LEAST_READINGS * Math.min(...intervals)) : LEAST_SPAN_MS,
  };
}

/** Half of the range: of a live one its end, else its middle, or where the nearest values are. Null when nothing
 * would be left. */
export function nearer({ from, to, isLive, times, leastMs }) {
  const span = (to - from) / 2;
  if (!(span >= leastMs) || !times.length) return null;
  const wanted = isLive ? [to - span, to] : [from + span / 2, to - span / 2];
  if (times.some((time) => wanted[0] <= time && time <= wanted[1])) return wanted;
  const middle = (wanted[0] + wanted[1]) / 2;
  const nearest = times.reduce((best, time) => (Math.abs(time - middle) < Math.abs(best - middle) ? time : best));
  const start = Math.min(to - span, Math.max(from, nearest - span / 2));
  return [start, start + span];
}

/** Twice the range, of a live one with the same end, but not before the first reading nor after now. Null when there
 * is no more. */
export function wider(view) {
  const { from, to, isLive, firstMs, nowMs } = view;
  if (from === null || from === undefined) return null;
  const span = to - from;
  if (from <= firstMs && to >= nowMs) return null;
  // A range that lies beside all readings leads to them.
  if (to <= firstMs || from >= nowMs) return [firstMs, nowMs];
  return within(isLive ? [to - 2 * span, to] : [from - span / 2, to + span / 2], view);
}

/** The range moved, and if need be cut, so that it does not begin before the first reading nor end after now. */
export function within([from, to], { firstMs, nowMs }) {
  const first = Math.min(firstMs ?? from, nowMs);
  const late = Math.max(0, to - nowMs);
  const early = Math.max(0, first - (from - late));
  return [Math.max(first, from - late), Math.min(nowMs, to - late + early)];
}

/** The range, or one around its middle that is long enough to be dragged across. */
export function longEnough(from, to) {
  const missing = Math.max(0, LEAST_SPAN_MS - (to - from)) / 2;
  return [from - missing, to + missing];
}

/** `-90m`: so long before now, as an address says it; the second that the reader took to press is none of it. */
export function relative(spanMs) {
  const seconds = Math.max(1, Math.round(spanMs / 1000));
  const roundTo = (length) => Math.max(1, Math.round(seconds / length));
  const [unit, length] = UNITS.find(([, one]) => Math.abs(roundTo(one) * one - seconds) <= ROUNDED_PART * seconds);
  return `-${roundTo(length)}${unit}`;
}

/** The ranges of this visit: from which one each zoom started. A range is a text, what an address says of it. */
export class Trail {
  #before = [];
  #first = null;
  #now = null;

  /** The reader zooms from one range into another, or moves it. */
  push(from, to, isMoved) {
    this.#follow(from);
    this.#first ??= from;
    if (!isMoved) this.#before.push(from);
    this.#now = to;
  }

  /** The range from which the reader has zoomed to this one; null for none. */
  last(now) {
    this.#follow(now);
    return this.#before.at(-1) ?? null;
  }

  /** The range before all zooming and moving; null for none. */
  first(now) {
    this.#follow(now);
    return this.#first;
  }

  /** Back to one of these. */
  goBack(to) {
    const place = this.#before.indexOf(to);
    this.#before = place < 0 ? [] : this.#before.slice(0, place);
    this.#first = this.#before[0] ?? null;
    this.#now = to;
  }

  /** The back button and links lead elsewhere too. */
  #follow(now) {
    if (now !== this.#now) this.goBack(now);
  }
}
