// What is compared: the line of another time or of another station, in a colour of its own behind the others.

import { colourOf, isPlain } from "./colours.js";
import { isShown } from "./lines.js";
import { textOf } from "./numbers.js";
import { nameOf } from "./plot.js";
import { greatest, least, measured } from "./scale.js";
import { BETWEEN_SENTENCES, stationName, t } from "./texts.js";

const WIDTH_PIXELS = 1.5;
// Where it has the colour of all lines.
const PLAIN_DASH = [1, 3];
const TIMES = ["day", "week", "year"];

/** The layer of what this chart is compared with; null where there is nothing. */
export function compareLayer(group, answer, { clock }) {
  const { by, bucket_ms: bucketMs, has_leap_day: hasLeapDay, series = [] } = answer.compared ?? {};
  // What has no line of its own to be compared with is in the first chart of what it measures.
  const isMine = (one) => (answer.series.some((other) => isSame(one, other)) ? group.some((other) => isSame(one, other)) : group.isFirst ?? true);
  const mine = series.filter((one) => one.quantity === group[0].quantity && one.avg.length && isMine(one));
  if (!mine.length) return null;
  const lines = mine.map((one) => lineOf(one, bucketMs, { group, answer }));
  const [colour, dash] = [colourOf("--past"), isPlain() ? PLAIN_DASH : []];
  const what = TIMES.includes(by) ? {day: t("previous day"), week: t("previous week"), year: t("previous year")}[by] : stationName(by);
  const values = measured(lines.flatMap(({ avg }) => avg));
  let seen = null;
  const past = (ms) => pastOf(lines.filter((line) => isSeen(seen, line)), ms);
  return {
    under: (chart) => {
      seen = chart;
      for (const line of lines) if (isSeen(chart, line)) stroke(chart, line, colour, dash);
    },
    pastAt: (ms) => past(ms).map(({ line, near }) => ({ own: line.own, name: nameOf(line), number: line.avg[near], value: textOf(line.avg[near], line.unit) })),
    textAt: (ms) => (TIMES.includes(by) ? timesOf(past(ms), what, (own) => clock.bucket(own, own + bucketMs)) : ""),
    range: () => (values.length ? [least(values), greatest(values)] : null),
    key: { name: what, colour, dash },
    says: [t("Grey: {what}.", { what }), ...(hasLeapDay ? [t("29 February has no counterpart.")] : [])].join(BETWEEN_SENTENCES),
    summary: lines.map((line) => summaryOf(line, what, TIMES.includes(by))).join("; "),
  };
}

/** A line with the places of its buckets on the axis, and the place of the line that it belongs to, -1 for none. */
function lineOf(series, bucketMs, { group, answer }) {
  const own = group.findIndex((one) => isSame(one, series));
  const places = series.times_ms.map((ms) => Math.min(answer.to_ms, Math.max(answer.from_ms, ms + bucketMs / 2)));
  return { ...series, own, places, reach: Math.max(bucketMs, series.gap_ms ?? 0) };
}

const isSame = (one, other) => one.endpoint === other.endpoint && one.measurement === other.measurement;

/** What is compared with a line goes with it when the reader switches it off. */
const isSeen = (chart, { own }) => own < 0 || !chart || isShown(chart, own);

function stroke(chart, { places, avg, reach }, colour, dash) {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.beginPath();
  let before = -Infinity;
  places.forEach((ms, i) => {
    if (avg[i] === null) return;
    const [x, y] = [chart.valToPos(ms, "x", true), chart.valToPos(avg[i], "y", true)];
    if (ms - before > 2 * reach) ctx.moveTo(x, y);
    // A line of no length is a point, for the ends are round.
    ctx.lineTo(x, y);
    before = ms;
  });
  Object.assign(ctx, { strokeStyle: colour, lineWidth: WIDTH_PIXELS * devicePixelRatio, lineCap: "round", lineJoin: "round" });
  ctx.setLineDash(dash.map((length) => length * devicePixelRatio));
  ctx.stroke();
  ctx.restore();
}

/** The lines that have something at a time, each with the place of its bucket. */
function pastOf(lines, ms) {
  return lines.map((line) => ({ line, near: nearest(line, ms) })).filter(({ near }) => near >= 0);
}

/** `previous day: Sat 23 Aug, 09:00 – 09:05`, a line for each time. */
function timesOf(past, what, timeOf) {
  const times = new Set(past.map(({ line, near }) => timeOf(line.own_ms[near])));
  return [...times].map((time) => `${what}: ${time}`).join("\n");
}

/** The bucket nearest to a time, but no further away than a gap; -1 for none. */
function nearest({ places, avg, reach }, ms) {
  const away = (i) => Math.abs(places[i] - ms);
  const near = places.reduce((best, _, i) => (away(i) < away(best) ? i : best), 0);
  return away(near) > reach || avg[near] === null ? -1 : near;
}

function summaryOf(line, what, isTime) {
  const values = measured(line.avg);
  const [low, high, last] = [least(values), greatest(values), values.at(-1)].map((value) => textOf(value, line.unit));
  const name = isTime ? `${what} ${nameOf(line)}` : nameOf(line);
  return t("{name}: lowest {low}, highest {high}, last {last}", { name, low, high, last });
}
