// Times as the server's clock shows them, wherever the reader is.

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
// A day is shorter when the clocks go forward.
const LEAST_DAY_MS = 22 * 3_600_000;
// An hour nearly everywhere, half of one on Lord Howe Island.
const CHANGES_MS = [3_600_000, 1_800_000];
const language = document.documentElement.lang;

/** Formats instants in a zone; a name that the browser does not know means the browser's own. */
export class Clock {
  constructor(zone) {
    this.zone = isZone(zone) ? zone : undefined;
    const format = (options) => new Intl.DateTimeFormat(language, { timeZone: this.zone, hourCycle: "h23", ...options });
    this.time = format({ hour: "2-digit", minute: "2-digit" });
    this.second = format({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
    this.day = format({ month: "short", day: "numeric" });
    this.moment = format({ month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
    this.month = format({ month: "short" });
    this.year = format({ year: "numeric" });
    // Sweden writes ISO 8601, which is also how the table shows a time and how a filter reads it.
    this.iso = new Intl.DateTimeFormat("sv-SE", { timeZone: this.zone, dateStyle: "short", timeStyle: "medium" });
  }

  /** `2025-08-24 09:00:00` */
  text(ms) {
    return this.iso.format(ms);
  }

  /** The time of a bucket: `2025-08-24 09:00 – 09:05`, `2025-08-24`, `2025-08-18 – 2025-08-24`. */
  bucket(startMs, endMs) {
    if (endMs - startMs < MINUTE_MS) return this.text(startMs);
    const [[day, from], [lastDay]] = [startMs, endMs - 1].map((ms) => this.text(ms).split(" "));
    if (endMs - startMs < LEAST_DAY_MS) return `${day} ${from.slice(0, 5)} – ${this.time.format(endMs)}`;
    return day === lastDay ? day : `${day} – ${lastDay}`;
  }

  /** The same for the server: in UTC where it might take the text for another instant. It does in an hour that a
   * clock change repeats, and unless the zone has a name it may know another offset, or another zone, than we do. */
  parameter(ms) {
    const text = this.text(ms);
    const twice = CHANGES_MS.some((change) => this.text(ms + change) === text || this.text(ms - change) === text);
    return this.zone && !/^[+-]/.test(this.zone) && !twice ? text : `${new Date(ms).toISOString().slice(0, 19)}Z`;
  }

  /** `Nov 24, 22:05 – Nov 25, 00:45` */
  span(fromMs, toMs) {
    return this.moment.formatRange(fromMs, toMs);
  }

  /** For uPlot, which looks at the parts of a Date to place its ticks. */
  date = (ms) => (this.zone ? uPlot.tzDate(new Date(ms), this.zone) : new Date(ms));

  /** The labels of an axis: months or hours, below them the year or the day where it changes; or days. */
  labels(splits, stepMs) {
    let shown = "";
    return splits.map((ms) => {
      const isOfMonths = stepMs >= 28 * DAY_MS;
      const day = (isOfMonths ? this.year : this.day).format(ms);
      if (stepMs >= DAY_MS && !isOfMonths) return day;
      const one = (isOfMonths ? this.month : stepMs < 60_000 ? this.second : this.time).format(ms);
      const text = day === shown ? one : `${one}\n${day}`;
      shown = day;
      return text;
    });
  }
}

function isZone(zone) {
  try {
    return Boolean(zone && new Intl.DateTimeFormat("en", { timeZone: zone }));
  } catch {
    return false;
  }
}
