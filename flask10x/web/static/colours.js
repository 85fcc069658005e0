// Colours of the style sheet for a canvas, and the look of each station's line.

import { colourOfStation } from "./texts.js";

// Where colours cannot tell lines apart.
const DASHES = [
  ...[[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 2], [1, 2]],
  ...[[14, 4], [6, 2, 1, 2], [3, 6], [12, 2, 2, 2, 2, 2], [4, 4], [8, 2, 4, 2]],
];
// The second line of a station is as far as can be from its first, and has so much of its colour.
const NEXT_LINE = 3;
const NEXT_PERCENT = 55;
// A name has so much of the colour of its line that it can be read on a card.
const NAME_PERCENT = 62;

/** The present colour of a variable of the style sheet. Read by its name it is still `light-dark(…)`,
 * which a canvas does not know; as the colour of an element it is one of the two. */
export function colourOf(variable) {
  const element = document.body.appendChild(document.createElement("span"));
  // Where a reader's own colours are forced upon the page, a ground stays one.
  const property = variable === "--card" ? "backgroundColor" : "color";
  element.style[property] = `var(${variable})`;
  const colour = getComputedStyle(element)[property];
  element.remove();
  return colour;
}

/** The same colour with so much of it. */
export const paler = (colour, percent) => `color-mix(in srgb, ${colour} ${percent}%, transparent)`;

/** On paper, in colours that a reader forces upon the page, and in browsers that know none of ours (flask10x.css). */
export const PLAIN = ["print", "(forced-colors: active)"];
export const isPlain = () => PLAIN.some((media) => matchMedia(media).matches) || !CSS.supports("color", "light-dark(#000, #fff)");

/** A station has its colour in every chart of the page, and its dash where lines need one: where colours cannot tell
 * them apart, and from the station on for which the colours begin again. A second line of it in a chart has a shade of
 * its colour and another dash. */
export function stylesOf(group) {
  const [needsDash, text] = [isPlain(), colourOf("--text")];
  return group.map((series, line) => {
    const [number, turn] = colourOfStation(series.endpoint);
    const before = group.slice(0, line).filter((other) => other.endpoint === series.endpoint).length;
    const first = colourOf(`--series-${number}`);
    const colour = before ? `color-mix(in srgb, ${first} ${NEXT_PERCENT}%, ${text})` : first;
    // Behind the last colour the pairs go on, or the thirteenth station would look like the first.
    const dash = DASHES[(needsDash ? number - 1 + turn + NEXT_LINE * before : turn) % DASHES.length];
    return { colour, dash, name: `color-mix(in oklab, ${colour} ${NAME_PERCENT}%, ${text})`, band: paler(colour, 20), pale: paler(colour, 45) };
  });
}

/** A piece of the line, as it is drawn; `width` is in pixels. */
export function signOf({ colour, dash }, width) {
  const space = "http://www.w3.org/2000/svg";
  const [svg, line] = ["svg", "line"].map((name) => document.createElementNS(space, name));
  const strokes = { x1: 0, x2: width, y1: 4, y2: 4, stroke: colour, "stroke-width": 2.5, "stroke-dasharray": dash.join(" ") };
  for (const [name, value] of Object.entries({ width, height: 8, "aria-hidden": "true" })) svg.setAttribute(name, value);
  for (const [name, value] of Object.entries(strokes)) line.setAttribute(name, value);
  svg.append(line);
  return svg;
}
