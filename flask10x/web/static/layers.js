// What a chart shows beside its lines, such as alerts: each kind is a layer, in a module of its own.
//
// A layer is an object; each of its parts may be missing:
//   under(chart)  draws behind the lines, over(chart) on top of them; `chart` is uPlot's: `chart.ctx`, `chart.bbox`
//                 (in pixels of the canvas), `chart.valToPos(value, "x" or "y", true)`
//   textAt(ms)    the text for this time beside the cursor, "" for none; several lines are parted by "\n"
//   pastAt(ms)    the values that are compared with those of this time, each { own, name, number, value }: `own` is the
//                 place of its line in the group, -1 for none; `value` is the number with its unit
//   range()       [low, high] that the axis of values has to show too, or null
//   labels(chart) words beside the plot, each { text, colour, y }: `y` in pixels from the top of the plot
//   lanePixels    how many pixels it draws below the plot
//   sentences     texts above the plot
//   key           { name, colour, dash }: what it draws, for the legend
//   says          a text for the line above the charts, said once however many charts have it
//   summary       what somebody who does not see the picture should know
//
// `context` is { clock, nowMs, isFiltered, styles }: the server's clock and time, whether conditions leave readings
// out, and the colour, dash and band of each line of the group. `colourOf` of colours.js reads a variable of the
// style sheet, `textOf` of numbers.js writes a value with its unit.

import { bandsLayer } from "./bands.js";
import { notesLayer } from "./notes.js";

// What is drawn first lies behind the others. Those that many pages have nothing for are loaded by the first that has.
const kinds = { nights: null, bands: bandsLayer, hours: null, alerts: null, compare: null, notes: notesLayer };
const LATER = {
  nights: ["nights", () => import("./nights.js").then((module) => module.nightsLayer)],
  hours: ["hours_above", () => import("./hours.js").then((module) => module.hoursLayer)],
  alerts: ["alerts", () => import("./alerts.js").then((module) => module.alertsLayer)],
  compare: ["compared", () => import("./compare.js").then((module) => module.compareLayer)],
};

/** Load what this answer needs to be drawn. */
export async function loadLayers(answer) {
  const needed = Object.entries(LATER).filter(([name, [key]]) => !kinds[name] && hasAny(answer[key]));
  await Promise.all(needed.map(async ([name, [, load]]) => (kinds[name] = await load())));
}

const hasAny = (part) => Boolean(part && (part.length ?? 1));

/** The layers of the chart of these series. A kind that has nothing to show in it gives null. */
export function layersOf(group, answer, context) {
  return Object.values(kinds).map((kind) => kind?.(group, answer, context)).filter(Boolean);
}
