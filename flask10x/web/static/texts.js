// What the scripts say: the page brings its texts along, in the reader's language.

const told = JSON.parse(document.querySelector("[data-texts]")?.dataset.texts ?? "{}");

/** The text of a key, its {names} replaced; the key itself when the page has no such text. */
export function t(key, values = {}) {
  const text = told.texts?.[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** Names of stations and of columns, as the table calls them, and of what columns measure. */
export const stationName = (endpoint) => told.stations?.[endpoint] ?? endpoint;
export const columnName = (column) => told.columns?.[column] ?? column;
/** How many digits behind the point a value in this unit has; undefined in a unit that an operator has named. */
export const digitsOfUnit = (unit) => told.digits?.[unit];
/** Of which readings a derived value is computed, as a sentence; empty of a measurement. */
export const limitsOf = (name) => told.limits?.[name] ?? "";
export const quantityName = (quantity) => told.quantities?.[quantity] ?? quantity;

const UNITS = [["days", 86400], ["hours", 3600], ["minutes", 60], ["seconds", 1]];

/** An age of so many seconds in its handiest unit, as `catalog.py` says it. */
export function lasting(kind, seconds) {
  const [unit, length] = UNITS.find(([, one]) => one === 1 || seconds >= 2 * one);
  return t(`${kind}.${unit}`, { n: Math.floor(seconds / length) });
}

/** The same without rounding: the greatest unit of which it is a whole number. */
export function exactly(kind, seconds) {
  const [unit, length] = UNITS.find(([, one]) => seconds % one === 0);
  return t(`${kind}.${unit}`, { n: seconds / length });
}
