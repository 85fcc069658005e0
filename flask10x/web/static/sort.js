// The rows of a page's tables by their values: the highest first, then the lowest first, then by time again. By time
// all readings are sorted, not only those of the page: that is a link, and works without a script.

import { t } from "./texts.js";
import { onChange } from "./view.js";

const NEXT = { none: "descending", descending: "ascending", ascending: "none" };
// What a table was sorted by stays when it is drawn again: `{column, direction}` by its station.
const chosen = new Map();
// The rows as the server has sent them.
const sent = new WeakMap();

export function start() {
  prepare();
  onChange((names) => names.includes("table") && prepare());
  document.addEventListener("click", press);
}

function prepare() {
  for (const table of document.querySelectorAll("#table table[data-station]")) {
    if (sent.has(table)) continue;
    sent.set(table, [...table.tBodies[0].rows]);
    for (const head of table.querySelectorAll("th[data-column]")) head.firstElementChild.replaceWith(buttonFor(head));
    show(table);
  }
}

function buttonFor(head) {
  const name = head.firstElementChild.textContent;
  return Object.assign(document.createElement("button"), { type: "button", className: "sort", textContent: name, title: t("Sort by {name}", { name }) });
}

function press(event) {
  if (event.target.closest("#table thead a")) return chosen.clear();
  const head = event.target.closest("#table th[data-column]");
  if (!head || !event.target.closest("button")) return;
  const table = head.closest("table");
  const before = chosen.get(table.dataset.station);
  const direction = NEXT[before?.column === head.dataset.column ? before.direction : "none"];
  chosen.set(table.dataset.station, { column: head.dataset.column, direction });
  show(table);
}

/** Put the rows in the order that was chosen, and say so in the head. */
function show(table) {
  const { column, direction = "none" } = chosen.get(table.dataset.station) ?? {};
  const head = table.querySelector(`th[data-column="${CSS.escape(column ?? "")}"]`);
  const isSorted = head !== null && direction !== "none";
  const time = table.querySelector("thead th");
  time.dataset.sort ??= time.getAttribute("aria-sort");
  for (const one of table.tHead.rows[0].cells) one.removeAttribute("aria-sort");
  if (isSorted) head.setAttribute("aria-sort", direction);
  else time.setAttribute("aria-sort", time.dataset.sort);
  const rows = [...sent.get(table)];
  if (isSorted) rows.sort(byValue(head.cellIndex, direction));
  table.tBodies[0].append(...rows);
}

/** A missing value comes last, whatever the direction. */
function byValue(place, direction) {
  const sign = direction === "ascending" ? 1 : -1;
  const value = (row) => Number.parseFloat(row.cells[place].title || row.cells[place].textContent.replaceAll(",", "").replace("−", "-"));
  return (one, other) => {
    const [a, b] = [value(one), value(other)];
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
    return sign * (a - b);
  };
}
