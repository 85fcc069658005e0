// What the scripts say: the page brings its texts along, in the reader's language.

const told = JSON.parse(document.getElementById("charts")?.dataset.texts ?? "{}");

/** The text of a key, its {names} replaced; the key itself when the page has no such text. */
export function t(key, values = {}) {
  const text = told.texts?.[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** Names of stations and of columns, as the table calls them. */
export const stationName = (endpoint) => told.stations?.[endpoint] ?? endpoint;
export const columnName = (column) => told.columns?.[column] ?? column;

/** A time of so many seconds in its handiest unit, as `texts.py` says it. */
export function lasting(kind, seconds) {
  for (const [unit, length, from] of [["days", 86400, 172800], ["hours", 3600, 7200], ["minutes", 60, 120]]) {
    if (seconds >= from) return t(`${kind}.${unit}`, { n: Math.floor(seconds / length) });
  }
  return t(`${kind}.seconds`, { n: Math.floor(seconds) });
}
