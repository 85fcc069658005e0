// What is compared: the line of another time or of another station, broad and pale behind the others.

import { colourOf } from "./colours.js";
import { isShown } from "./lines.js";
import { textOf } from "./numbers.js";
import { nameOf } from "./plot.js";
import { greatest, least, measured } from "./scale.js";
import { BETWEEN_SENTENCES, stationName, t } from "./texts.js";

const WIDTH_PIXELS = 4;
const ALPHA = 0.35;
const TIMES = ["day", "week", "year"];

/** The layer of what this chart is compared with; null where there is nothing. */
export function compareLayer(group, answer, { clock, styles }) {
  const { by, bucket_ms: bucketMs, has_leap_day: hasLeapDay, series = [] } = answer.compared ?? {};
  const mine = series.filter((one) => one.quantity === group[0].quantity && one.avg.length);
  if (!mine.length) return null;
  const lines = mine.map((one) => lineOf(one, bucketMs, { group, answer, styles }));
  const what = TIMES.includes(by) ? {day: t("previous day"), week: t("previous week"), year: t("previous year")}[by] : stationName(by);
  const values = measured(lines.flatMap(({ avg }) => avg));
  let seen = null;
  return {
    under: (chart) => {
      seen = chart;
      for (const line of lines) if (isSeen(chart, line)) stroke(chart, line);
    },
    textAt: (ms) => textsAt(lines.filter((line) => isSeen(seen, line)), ms, (own) => clock.bucket(own, own + bucketMs)),
    range: () => (values.length ? [least(values), greatest(values)] : null),
    says: [t("Wide and faint: {what}.", { what }), ...(hasLeapDay ? [t("29 February has no counterpart.")] : [])].join(BETWEEN_SENTENCES),
    summary: lines.map((line) => summaryOf(line, what, TIMES.includes(by))).join("; "),
  };
}

/** A line with the places of its buckets on the axis, and the place of the line that it belongs to, -1 for none. */
function lineOf(series, bucketMs, { group, answer, styles }) {
  const own = group.findIndex((one) => one.endpoint === series.endpoint && one.measurement === series.measurement);
  const places = series.times_ms.map((ms) => Math.min(answer.to_ms, Math.max(answer.from_ms, ms + bucketMs / 2)));
  return { ...series, own, places, reach: Math.max(bucketMs, series.gap_ms ?? 0), colour: own < 0 ? colourOf("--quiet") : styles[own].colour };
}

/** What is compared with a line goes with it when the reader switches it off. */
const isSeen = (chart, { own }) => own < 0 || !chart || isShown(chart, own);

function stroke(chart, { places, avg, reach, colour }) {
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
  Object.assign(ctx, { strokeStyle: colour, globalAlpha: ALPHA, lineWidth: WIDTH_PIXELS * devicePixelRatio, lineCap: "round", lineJoin: "round" });
  ctx.stroke();
  ctx.restore();
}

/** `Sat 23 Aug, 09:00 – 09:05: Bedroom 812 ppm, Living room 640 ppm`, a line for each time. */
function textsAt(lines, ms, timeOf) {
  const texts = new Map();
  for (const line of lines) {
    const near = nearest(line, ms);
    if (near < 0) continue;
    const time = timeOf(line.own_ms[near]);
    texts.set(time, [...(texts.get(time) ?? []), `${nameOf(line)} ${textOf(line.avg[near], line.unit)}`]);
  }
  const comma = t(", ");
  return [...texts].map(([time, values]) => `${time}: ${values.join(comma)}`).join("\n");
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
