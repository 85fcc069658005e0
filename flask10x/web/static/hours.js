// The hours of each day above a limit: below the chart a strip for each line, a cell a day. It shows what a mean of the
// day hides.

import { colourOf, paler } from "./colours.js";
import { isShown } from "./lines.js";
import { briefly } from "./numbers.js";
import { nameOf } from "./plot.js";
import { t } from "./texts.js";

const LANE_PIXELS = 8;
const GAP_PIXELS = 2;
const DAY_MS = 86_400_000;
// From so many hours a day, so many percent of the colour: a night is darker than an evening.
const SHADES = [[1, 25], [4, 45], [8, 70], [14, 100]];

const numbers = new Intl.NumberFormat(document.documentElement.lang);

/** The layer of the strips of a chart; null where no line has hours above its limit. */
export function hoursLayer(group, answer, { clock }) {
  const strips = group.map((series) => answer.hours_above?.find((one) => one.endpoint === series.endpoint && one.measurement === series.measurement));
  if (!strips.some(Boolean)) return null;
  const { unit } = group[0];
  const sentences = group.flatMap((series, place) => (strips[place] ? [sentenceOf(strips[place], group.length > 1 ? nameOf(series) : "", unit, clock)] : []));
  return {
    lanePixels: LANE_PIXELS * strips.filter(Boolean).length,
    over: (chart) => draw(chart, strips),
    textAt: (ms) => group.flatMap((series, place) => textsOf(strips[place], ms, nameOf(series), unit)).join("\n"),
    sentences,
    summary: sentences.join(" "),
    says: t("Strips below a chart: dark by the hours of a day above the limit."),
  };
}

function sentenceOf({ above, days_ms: days, hours }, name, unit, clock) {
  const most = Math.max(...hours);
  const values = { limit: briefly(above, unit), hours: numbers.format(hours.reduce((sum, one) => sum + one, 0)), most, day: clock.day(days[hours.indexOf(most)]) };
  return name ? t("{name}: {hours} h above {limit}, most on {day} ({most} h).", { name, ...values }) : t("{hours} h above {limit}, most on {day} ({most} h).", values);
}

function textsOf(strip, ms, name, unit) {
  const day = strip?.days_ms.findLastIndex((from) => from <= ms) ?? -1;
  if (day < 0 || ms >= strip.days_ms[day] + DAY_MS) return [];
  return [t("{name}: {hours} h above {limit}", { name, hours: strip.hours[day], limit: briefly(strip.above, unit) })];
}

function draw(chart, strips) {
  const { ctx, bbox } = chart;
  const colour = colourOf("--wrong");
  const [height, gap] = [LANE_PIXELS - GAP_PIXELS, GAP_PIXELS].map((pixels) => pixels * devicePixelRatio);
  const place = (ms) => Math.min(bbox.left + bbox.width, Math.max(bbox.left, chart.valToPos(ms, "x", true)));
  let top = bbox.top + bbox.height;
  ctx.save();
  strips.forEach((strip, number) => {
    if (!strip) return;
    top += gap;
    strip.days_ms.forEach((from, i) => {
      if (!isShown(chart, number)) return;
      const [left, right] = [from, from + DAY_MS].map((ms) => Math.round(place(ms)));
      ctx.fillStyle = paler(colour, SHADES.findLast(([hours]) => hours <= strip.hours[i])[1]);
      // A day is a pixel wide on a phone, and is not to vanish between two.
      ctx.fillRect(left, top, Math.max(devicePixelRatio, right - left), height);
    });
    top += height;
  });
  ctx.restore();
}
