// One address is one view: the server draws it, and the parts that changed are put into the page.

import { ask, note, reachable } from "./link.js";
import { follow } from "./site.js";

const PARTS = ["cards", "filter", "conditions", "noted", "table"];
// Links that only change the table, and those that change the whole view.
const PAGES = "#table .pages a";
const VIEWS = "#filter :is(.ranges, .months, #compare) a, #conditions a, #cards :is(h2, .every) a, #table .empty a, #table thead a";
const listeners = [];
// Which address the parts show.
let shown = location.search;

/** Call `listener(names)` after parts of the page were replaced. */
export const onChange = (listener) => listeners.push(listener);

/** Fetch the page of this address and replace the parts named. Rejects when there is no answer. */
export async function show(url, names = PARTS) {
  const answer = await ask(url, { headers: { Accept: "text/html" } });
  if (!answer.ok) throw new Error(`${answer.status}`);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const { search } = new URL(url, location.href);
  // The reader has gone on meanwhile.
  if (search !== location.search) return;
  replace(fresh, names);
  if (names.includes("table")) shown = search;
}

function replace(fresh, names) {
  // The switches keep the address that they are on; the link has the number of alerts.
  for (const name of [...names, "switches", "alerts-link"]) {
    const old = document.getElementById(name);
    const part = fresh.getElementById(name);
    if (!old || !part) continue;
    if (name === "table") keepFold(old, part);
    // What is the same stays: somebody may just be pressing it.
    if (old.isEqualNode(part)) continue;
    const focused = old.contains(document.activeElement) ? pathTo(document.activeElement, old) : null;
    const { scrollLeft } = old;
    old.replaceWith(part);
    part.scrollLeft = scrollLeft;
    if (focused) part.querySelector(focused)?.focus({ preventScroll: true });
  }
  const charts = document.getElementById("charts");
  const chartsNow = fresh.getElementById("charts");
  if (charts && chartsNow) charts.dataset.series = chartsNow.dataset.series;
  for (const listener of listeners) listener(names);
}

/** The rows stay folded, or unfolded, as the reader left them. */
function keepFold(old, part) {
  const [before, now] = [old, part].map((one) => one.querySelector("#rows"));
  if (before && now) now.open = before.open;
}

/** Show the rows of the table. */
export function unfold() {
  const rows = document.getElementById("rows");
  if (rows) rows.open = true;
}

/** Where the focused element is found again in the new part. */
function pathTo(element, part) {
  if (element.id) return `#${element.id}`;
  const same = [...part.querySelectorAll(element.tagName)];
  const place = same.indexOf(element);
  const href = element.getAttribute("href");
  return href ? `a[href="${CSS.escape(href)}"]` : place === 0 ? element.tagName : null;
}

/** Go to another address without leaving the page; the back button leads back. */
export async function go(url) {
  history.pushState(null, "", url);
  await show(url).catch(() => leave(url));
}

/** What can't be shown here is loaded as a page of its own; without the service the address goes back instead. */
async function leave(url) {
  if (!(await follow(url))) history.back();
}

/** Load this address as a page of its own. */
async function again() {
  if (await reachable()) location.reload();
  else note(false, true);
}

/** Follow links and the back and forward buttons without loading everything again. */
export function followLinks() {
  document.addEventListener("click", (event) => {
    if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const page = event.target.closest(PAGES);
    const link = page ?? event.target.closest(VIEWS);
    if (!link) return;
    event.preventDefault();
    (page ? turn : go)(link.href);
  });
  addEventListener("popstate", () => {
    // A jump inside the page, to the table, changes nothing that is shown.
    if (location.search !== shown) show(location.href).catch(again);
  });
}

/** Another page of the table; the charts are the same and stay. */
async function turn(url) {
  history.pushState(null, "", url);
  try {
    await show(url, ["table"]);
  } catch {
    await leave(url);
    return;
  }
  unfold();
  const table = document.getElementById("table");
  table.scrollIntoView();
  table.querySelector(".scroll")?.focus({ preventScroll: true });
}
