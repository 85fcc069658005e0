// The nights of the place that is set: darker from sunset to sunrise, behind the lines.

import { colourOf, paler, PLAIN } from "./colours.js";
import { t } from "./texts.js";

/** The layer of the nights of a chart; null where no place is set, and where the range has none. */
export function nightsLayer(_, answer) {
  const nights = answer.nights ?? [];
  if (!nights.length) return null;
  // Colours that a reader forces upon the page have no transparency, and would hide the lines.
  const colour = matchMedia(PLAIN[1]).matches ? paler(colourOf("--text"), 12) : colourOf("--night");
  return { under: (chart) => darken(chart, nights, colour), says: t("Darker: night.") };
}

function darken(chart, nights, colour) {
  const { ctx, bbox } = chart;
  const place = (ms) => Math.min(bbox.left + bbox.width, Math.max(bbox.left, chart.valToPos(ms, "x", true)));
  ctx.save();
  ctx.fillStyle = colour;
  for (const [from, to] of nights.map((ends) => ends.map(place))) ctx.fillRect(from, bbox.top, to - from, bbox.height);
  ctx.restore();
}
