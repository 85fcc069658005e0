// Bands: the values outside the comfortable range. A tinted zone with its word, and a text beside the cursor.

import { colourOf } from "./colours.js";
import { nearestTo } from "./lines.js";
import { briefly } from "./numbers.js";
import { nameOf } from "./plot.js";
import { t } from "./texts.js";

const COLOURS = { notice: "--warn", warning: "--wrong" };
const LEVELS = Object.keys(COLOURS);
const ZONE_ALPHA = 0.08;
const DASH_PIXELS = [6, 4];

const names = new Intl.ListFormat(document.documentElement.lang);

/** The layer of the bands of a chart; null where its lines have none. */
export function bandsLayer(group, answer) {
  const own = group.map((series) => (answer.bands ?? []).filter((band) => isOf(band, series)));
  const shared = zonesOf(own);
  if (!own.flat().length) return null;
  const { unit } = group[0];
  const zones = shared.map((band) => ({ ...band, colour: colourOf(COLOURS[band.level]) }));
  const textOf = (bands) => textOfLines(bands, unit, group.map(nameOf));
  return {
    under: (chart) => zones.forEach((zone) => shade(chart, zone)),
    labels: (chart) => zones.flatMap((zone) => labelOf(chart, zone)),
    textAt: (ms) => textOf(group.map((series, place) => bandOf(own[place], valueAt(series, ms, answer)))).join("\n"),
    says: zones.length ? t("Tinted: outside the comfortable range.") : "",
    summary: textOf(group.map((series, place) => worstOf(own[place], series.avg))).join("; "),
  };
}

/** Each band once, with the names of all lines that are in it; `bands` has a band, or none, for each line. */
function textOfLines(bands, unit, lineNames) {
  const texts = bands.map((band) => band && textOfBand(band, unit));
  const different = [...new Set(texts)].filter(Boolean);
  return different.map((text) => `${text}: ${names.format(lineNames.filter((_, place) => texts[place] === text))}`);
}

const isOf = (band, series) => band.endpoint === series.endpoint && band.measurement === series.measurement;
const keyOf = ({ above, below, level, label }) => JSON.stringify([above, below, level, label]);

/** The bands that every line has that has any, each once: a zone of one line alone would be read for all of them. */
function zonesOf(own) {
  const having = own.filter((bands) => bands.length);
  const [first = [], ...others] = having.map((bands) => bands.map((band) => [keyOf(band), band]));
  return first.filter(([key]) => others.every((bands) => bands.some(([one]) => one === key))).map(([, band]) => band);
}

const holds = ({ above, below }, value) => value !== null && (above === null ? value < below : value > above);

const rank = ({ level, above, below }) => [LEVELS.indexOf(level), above ?? -below];
const worse = (one, other) => rank(other)[0] - rank(one)[0] || rank(other)[1] - rank(one)[1];

/** The band that a value lies in, as `readings/bands.py` chooses it. */
const bandOf = (bands, value) => bands.filter((band) => holds(band, value)).sort(worse)[0];

/** The worst band that any of the values lies in. */
const worstOf = (bands, values) => bands.filter((band) => values.some((value) => holds(band, value))).sort(worse)[0];

function valueAt(series, ms, answer) {
  const near = nearestTo(series, ms, answer);
  return near === null ? null : series.avg[near];
}

/** `Air the room, above 1000 ppm`; the limit as it was set. */
function textOfBand({ above, below, label }, unit) {
  const limit = briefly(above ?? below, unit);
  return above === null ? t("{label}, below {limit}", { label, limit }) : t("{label}, above {limit}", { label, limit });
}

/** Where a zone lies on the canvas: from its limit to the edge of the chart; null where that is out of sight. */
function placeOf(chart, { above, below }) {
  const { top, height } = chart.bbox;
  const bottom = top + height;
  const limit = chart.valToPos(above ?? below, "y", true);
  const [from, to] = above === null ? [Math.max(top, limit), bottom] : [top, Math.min(bottom, limit)];
  return from < to ? { from, to, edge: above === null ? from : to, isEdgeSeen: top < limit && limit < bottom } : null;
}

/** A pale zone, with a dashed line at its limit. */
function shade(chart, zone) {
  const place = placeOf(chart, zone);
  if (!place) return;
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.fillStyle = ctx.strokeStyle = zone.colour;
  ctx.globalAlpha = ZONE_ALPHA;
  ctx.fillRect(bbox.left, place.from, bbox.width, place.to - place.from);
  ctx.globalAlpha = 1;
  ctx.setLineDash(DASH_PIXELS.map((length) => length * devicePixelRatio));
  ctx.beginPath();
  ctx.moveTo(bbox.left, place.edge);
  ctx.lineTo(bbox.left + bbox.width, place.edge);
  if (place.isEdgeSeen) ctx.stroke();
  ctx.restore();
}

/** The word of a zone, beside the plot at its limit. */
function labelOf(chart, zone) {
  const place = placeOf(chart, zone);
  return place ? [{ text: zone.label, colour: zone.colour, y: (place.edge - chart.bbox.top) / devicePixelRatio }] : [];
}
