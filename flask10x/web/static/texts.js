// What the scripts say, in the reader's language. A Japanese page brings along the words of its scripts, and the history
// the names of its stations and columns.

const words = JSON.parse(document.body.dataset.words ?? "{}");
const names = JSON.parse(document.querySelector("[data-texts]")?.dataset.texts ?? "{}");

/** An English sentence in the language of the page, its {names} replaced. */
export const t = (english, values = {}) => filled(words[english] ?? english, values);

/** The form of that number, which is `n` in it; Japanese has one form. */
export function plural(singular, many, n) {
  return filled(words[singular] ?? (n === 1 ? singular : many), { n });
}

const filled = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

/** Names of stations and of columns, as the table calls them, and of what columns measure. */
export const stationName = (endpoint) => names.stations?.[endpoint] ?? endpoint;
export const columnName = (column) => names.columns?.[column] ?? column;
/** The number of a station's colour in the style sheet, and how many times all colours were given out before it. */
export const colourOfStation = (endpoint) => names.colours?.[endpoint] ?? [1, 0];
/** How many digits behind the point a value in this unit has; undefined in a unit that an operator has named. */
export const digitsOfUnit = (unit) => names.digits?.[unit];
/** Of which readings a derived value is computed, as a sentence; empty of a measurement. */
export const limitsOf = (name) => names.limits?.[name] ?? "";
export const quantityName = (quantity) => names.quantities?.[quantity] ?? quantity;
/** Stations in the order of lines. */
const stations = Object.keys(names.stations ?? {});
export const placeOfStation = (endpoint) => stations.indexOf(endpoint);
/** The quantities in the order of their charts: what people ask for first. */
const quantities = Object.keys(names.quantities ?? {});
export const placeOfQuantity = (quantity) => quantities.indexOf(quantity);
/** Whether it is what a sensor gives before anything is made of it, such as a voltage. */
export const isRaw = (quantity) => Boolean(names.raw?.includes(quantity));
/** `own` or `shared`, where `stations.toml` says so: whether lines of a station have charts of their own. */
export const chartOf = (endpoint) => names.charts?.[endpoint];
/** The two ends between which a line usually is, in any range; undefined for a line without days. */
export const usualOf = ({ endpoint, measurement }) => names.usual?.[`${endpoint}.${measurement}`];
/** The columns of the stations that are silent, each with its quantity: `{ garage: { temperature: "temperature" } }`. */
export const silentLines = () => names.silent ?? {};
/** Whether pages leave out the line: `hidden` in `stations.toml`. */
export const isHidden = ({ endpoint, measurement }) => Boolean(names.hidden?.[endpoint]?.includes(measurement));

/** What separates two sentences. */
export const BETWEEN_SENTENCES = document.documentElement.lang === "ja" ? "" : " ";

const UNITS = [
  [86400, (n) => (n === 1 ? t("1 day") : t("{n} days", { n }))],
  [3600, (n) => t("{n} h", { n })],
  [60, (n) => t("{n} min", { n })],
  [1, (n) => t("{n} s", { n })],
];

/** So many seconds in their handiest unit, rounded down, as `translation.py` says it. */
export function duration(seconds) {
  const [length, text] = UNITS.find(([unit]) => unit === 1 || seconds >= 2 * unit);
  return text(Math.floor(seconds / length));
}

/** The same without rounding: the greatest unit of which it is a whole number. */
export function exactly(seconds) {
  const [length, text] = UNITS.find(([unit]) => seconds % unit === 0);
  return text(seconds / length);
}
