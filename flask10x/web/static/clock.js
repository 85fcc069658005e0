// Times as the server's clock shows them, wherever the reader is.

import { t } from "./texts.js";

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
    this.month = format({ month: "short" });
    this.year = format({ year: "numeric" });
    this.names = [{ weekday: "short" }, { month: "short" }].map(format);
    // Sweden writes ISO 8601, which is how a filter reads a time.
    this.iso = new Intl.DateTimeFormat("sv-SE", { timeZone: this.zone, dateStyle: "short", timeStyle: "medium" });
  }

  /** `2025-08-24 09:00:00` */
  text(ms) {
    return this.iso.format(ms);
  }

  /** `24 Aug` */
  day(ms) {
    return t("{day} {month}", this.#parts(ms));
  }

  /** `Sun 24 Aug`, with the year where that is not this one. */
  whole(ms) {
    const parts = this.#parts(ms);
    return parts.isThisYear ? t("{weekday} {day} {month}", parts) : t("{weekday} {day} {month} {year}", parts);
  }

  /** `Sun 24 Aug, 09:00`, as `labels.py` says it. */
  moment(ms, clock = this.time) {
    const parts = { ...this.#parts(ms), clock: clock.format(ms) };
    return parts.isThisYear ? t("{weekday} {day} {month}, {clock}", parts) : t("{weekday} {day} {month} {year}, {clock}", parts);
  }

  #parts(ms) {
    const [[year, , day], [weekday, month]] = [this.text(ms).slice(0, 10).split("-"), this.names.map((name) => name.format(ms))];
    return { year, month, weekday, day: Number(day), isThisYear: year === this.text(Date.now()).slice(0, 4) };
  }

  /** The time of a bucket: `Sun 24 Aug, 09:00 – 09:05`, `Sun 24 Aug`, `Mon 18 Aug – Sun 24 Aug`. */
  bucket(startMs, endMs) {
    const lengthMs = endMs - startMs;
    if (lengthMs < MINUTE_MS) return this.moment(startMs, this.second);
    if (lengthMs < LEAST_DAY_MS) return `${this.moment(startMs)} – ${this.time.format(endMs)}`;
    const [first, last] = [startMs, endMs - 1].map((ms) => this.whole(ms));
    return first === last ? first : `${first} – ${last}`;
  }

  /** The same for the server: in UTC where it might take the text for another instant. It does in an hour that a
   * clock change repeats, and unless the zone has a name it may know another offset, or another zone, than we do. */
  parameter(ms) {
    const text = this.text(ms);
    const twice = CHANGES_MS.some((change) => this.text(ms + change) === text || this.text(ms - change) === text);
    return this.zone && !/^[+-]/.test(this.zone) && !twice ? text : `${new Date(ms).toISOString().slice(0, 19)}Z`;
  }

  /** `Mon 24 Nov, 22:05 – Tue 25 Nov, 00:45` */
  span(fromMs, toMs) {
    const isOneDay = this.day(fromMs) === this.day(toMs);
    return `${this.moment(fromMs)} – ${isOneDay ? this.time.format(toMs) : this.moment(toMs)}`;
  }

  /** For uPlot, which looks at the parts of a Date to place its ticks. */
  date = (ms) => (this.zone ? uPlot.tzDate(new Date(ms), this.zone) : new Date(ms));

  /** The labels of an axis: months or hours, below them the year or the day where it changes; or days. */
  labels(splits, stepMs) {
    let shown = "";
    return splits.map((ms) => {
      const isOfMonths = stepMs >= 28 * DAY_MS;
      const day = isOfMonths ? this.year.format(ms) : this.day(ms);
      if (stepMs >= DAY_MS && !isOfMonths) return day;
      const one = (isOfMonths ? this.month : stepMs < MINUTE_MS ? this.second : this.time).format(ms);
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
