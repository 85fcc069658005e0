// What one can do with a value: a panel about the point of a chart, or the row of a table, that was chosen. Loaded when
// somebody chooses one. Its words are the server's: the panel is a part of the page `/notes`.

import { endOf, isShown, nearestTo, placeOf } from "./lines.js";
import { ask, note } from "./link.js";
import { Plot } from "./plot.js";
import { beyond } from "./scale.js";
import { follow as leave } from "./site.js";
import { go, show } from "./view.js";

const NOTES = new URL("../notes", import.meta.url);
const STYLE = new URL("notes.css", import.meta.url);
// A second click within this time is a double-click, which leads back to the range before zooming.
const DOUBLE_MS = 250;
// How high the marks of spikes are at the edges of a chart, and how far their values reach to the side.
const MARK_HIGH_PIXELS = 22;
const MARK_WIDE_PIXELS = 60;
const TRIANGLE_PIXELS = 12;
// A finger that comes back so near to the time that it reads wants more than to read it.
const SAME_PIXELS = 28;
const AWAY_PIXELS = 12;
// So long after the panel is closed charts may still come that are without what was hidden.
const REDRAWN_MS = 5000;

let waiting = null;
let latest = 0;
let tapped = null;

/** A click or a tap on a chart, or Enter on the one that has the focus. */
export function choose(event) {
  // Two that waited for this script may come in either order.
  if (event.timeStamp < latest) return;
  latest = event.timeStamp;
  clearTimeout(waiting);
  const plot = Plot.read;
  if (!plot?.chart || event.detail > 1) return;
  if (event.type === "keydown") {
    const address = atCursor(plot);
    if (address) open(address);
    return;
  }
  const { left, top } = plot.chart.over.getBoundingClientRect();
  const [x, y] = [event.clientX - left, event.clientY - top];
  const spike = spikeAt(plot, x, y);
  if (event.pointerType === "touch" && !spike && !isAgain(plot, x)) return;
  const address = spike ? addressOf(plot, [spike.series], spike.series.times_ms[spike.i], spike.isAbove ? "highest" : "lowest") : atLine(plot, x, y);
  if (address) waiting = setTimeout(() => open(address, { x: event.clientX, y: event.clientY }), DOUBLE_MS);
}

/** The first touch reads the values at a time; the next one at the same time chooses. */
function isAgain(plot, x) {
  const before = tapped;
  tapped = { plot, x };
  return before?.plot === plot && Math.abs(before.x - x) < SAME_PIXELS;
}

const linesOf = ({ group, chart }) => group.filter((_, place) => isShown(chart, place));

/** The mark of a spike at this place of a chart; null where there is none. */
function spikeAt(plot, x, y) {
  const { chart, answer } = plot;
  const { min, max } = chart.scales.y;
  const isAbove = y < MARK_HIGH_PIXELS;
  if (!isAbove && y < chart.over.clientHeight - MARK_HIGH_PIXELS) return null;
  const near = linesOf(plot)
    .flatMap((series) => beyond(series, [min, max]).map((one) => ({ ...one, series })))
    .filter((one) => one.isAbove === isAbove)
    .map((one) => ({ ...one, away: Math.abs(chart.valToPos(placeOf(one.series.times_ms[one.i], answer), "x") - x) }))
    .filter(({ away }) => away < MARK_WIDE_PIXELS);
  const touched = near.filter(({ away }) => away < TRIANGLE_PIXELS);
  const furthest = (one, other) => (isAbove ? other.value - one.value : one.value - other.value);
  return (touched.length ? touched : near).sort(furthest)[0] ?? null;
}

/** The line that is nearest to a place of a chart, at its time. */
function atLine(plot, x, y) {
  const { chart, answer } = plot;
  const time = chart.posToVal(x, "x");
  const points = linesOf(plot)
    .map((series) => ({ series, i: nearestTo(series, time, answer) }))
    .filter(({ i }) => i !== null)
    .map((point) => ({ ...point, away: Math.abs(chart.valToPos(point.series.avg[point.i], "y") - y) }));
  const [nearest] = points.sort((one, other) => one.away - other.away);
  return nearest ? addressOf(plot, [nearest.series], nearest.series.times_ms[nearest.i], "near") : null;
}

/** All lines at the time of the cursor. */
function atCursor(plot) {
  const { chart, data, answer } = plot;
  const time = data[0][chart.cursor.idx ?? data[0].length - 1];
  const lines = linesOf(plot).map((series) => [series, nearestTo(series, time, answer)]);
  const there = lines.filter(([, i]) => i !== null);
  return there.length ? addressOf(plot, there.map(([series]) => series), there[0][0].times_ms[there[0][1]], "near") : null;
}

/** The page of the bucket that starts then. */
function addressOf({ answer }, lines, startMs, which) {
  const url = new URL(NOTES);
  url.searchParams.set("reading", which);
  for (const { endpoint, measurement } of lines) url.searchParams.append("about", `${endpoint}.${measurement}`);
  const ends = { from: startMs, to: Math.max(startMs, endOf(startMs, answer) - 1) };
  for (const [name, ms] of Object.entries(ends)) url.searchParams.set(name, new Date(Math.round(ms)).toISOString());
  if (new URL(location.href).searchParams.has("raw")) url.searchParams.set("raw", "1");
  return url;
}

/** Follow a link to a reading, which the panel shows; that which writes a note has the time that was read last. */
export async function follow(link) {
  if (link.id !== "note-here") return open(link.href);
  const url = new URL(link.href);
  if (Plot.readMs !== null) url.searchParams.set("from", Plot.read.clock.parameter(Plot.readMs));
  return leave(url);
}

/** Show what the page at this address says of a reading, beside the place in the window where it was chosen. */
async function open(address, place = null) {
  try {
    const [answer] = await Promise.all([ask(address, { headers: { Accept: "text/html" } }), styled()]);
    if (!fill(await answer.text())) throw new Error(`${answer.status}`);
  } catch {
    // Without the service the page says so; a page of its own has what cannot be shown here.
    note(false, true);
    return;
  }
  if (!panel().open) {
    remember();
    panel().showModal();
  }
  settle(place);
}

let came = () => null;

/** Which chart or which row the panel was opened from: they may be drawn anew while it is open. */
function remember() {
  const { activeElement: from } = document;
  const place = [...document.querySelectorAll(".plot")].indexOf(from);
  const { href } = from;
  came = () => (place < 0 ? [...document.querySelectorAll("#table a")].find((link) => link.href === href) : document.querySelectorAll(".plot")[place]);
}

/** The focus goes back there. Until the page is rendered again it may still be in the panel, although that is closed. */
function goBack() {
  const isLost = ({ activeElement }) => activeElement === document.body || box.contains(activeElement);
  const focus = () => !box.open && isLost(document) && came()?.focus({ preventScroll: true });
  focus();
  const watch = new MutationObserver(focus);
  watch.observe(document.getElementById("charts"), { childList: true, subtree: true });
  setTimeout(() => watch.disconnect(), REDRAWN_MS);
}

let box = null;

function panel() {
  if (box?.isConnected) return box;
  box = document.createElement("dialog");
  box.className = "panel-of-value";
  box.setAttribute("aria-labelledby", "reading-title");
  box.addEventListener("click", press);
  box.addEventListener("submit", send);
  box.addEventListener("close", goBack);
  document.body.append(box);
  return box;
}

/** Whether the answer has the part for the panel, which then shows it. */
function fill(text) {
  const part = new DOMParser().parseFromString(text, "text/html").getElementById("reading");
  if (!part) return false;
  const dialog = panel();
  const close = document.createElement("button");
  Object.assign(close, { type: "button", className: "close quiet", textContent: "×" });
  // The list of keys has the word for it.
  close.ariaLabel = document.querySelector("#help form button")?.textContent.trim() ?? "×";
  part.prepend(close);
  // A keyboard on the screen would cover what the panel says.
  const field = part.querySelector("[autofocus]");
  if (matchMedia("(pointer: coarse)").matches) {
    field?.removeAttribute("autofocus");
    part.querySelector("h1").setAttribute("autofocus", "");
  }
  dialog.replaceChildren(part);
  if (dialog.open) (part.querySelector("[autofocus]") ?? part.querySelector("h1")).focus();
  return true;
}

/** Beside the point, where there is room; a phone has it at its foot. */
function settle(place) {
  const dialog = panel();
  dialog.style.inset = dialog.style.margin = "";
  if (!place || matchMedia("(max-width: 40rem)").matches) return;
  const { clientWidth, clientHeight } = document.documentElement;
  const { width, height } = dialog.getBoundingClientRect();
  const right = place.x + AWAY_PIXELS;
  const left = right + width < clientWidth ? right : Math.max(AWAY_PIXELS, place.x - AWAY_PIXELS - width);
  const top = Math.max(AWAY_PIXELS, Math.min(place.y - height / 3, clientHeight - height - AWAY_PIXELS));
  dialog.style.margin = "0";
  dialog.style.inset = `${Math.round(top)}px auto auto ${Math.round(left)}px`;
}

function press(event) {
  const dialog = panel();
  const link = event.target.closest("a");
  if (event.target === dialog || event.target.closest(".close")) dialog.close();
  else if (link?.matches(".back")) {
    event.preventDefault();
    dialog.close();
  } else if (link?.matches(".around") && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    dialog.close();
    go(link.href);
  }
}

/** What is sent is answered in the panel; the page behind it follows. Where the browser has to ask for a password, it is
 * sent as a page. */
async function send(event) {
  if (panel().querySelector("[data-asks]")) return;
  event.preventDefault();
  event.stopPropagation();
  const { target: form, submitter } = event;
  if (form.ariaBusy) return;
  form.ariaBusy = "true";
  try {
    const answer = await ask(form.action, { method: "POST", body: new URLSearchParams(new FormData(form, submitter)) });
    if (!fill(await answer.text())) throw new Error(`${answer.status}`);
    if (answer.redirected) await show(location.href).catch(() => {});
  } catch {
    form.ariaBusy = null;
    lost(form);
  }
}

/** The notice of the page lies behind the panel. */
function lost(form) {
  note(false, true);
  const said = document.querySelector("#no-link [role=alert]").textContent;
  const line = form.querySelector(".lost-here") ?? form.appendChild(document.createElement("p"));
  Object.assign(line, { className: "lost-here error", role: "alert", textContent: said });
}

function styled() {
  if (document.querySelector(`link[href="${STYLE.pathname}"]`)) return null;
  const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: STYLE.pathname });
  const loaded = new Promise((resolve) => (link.onload = link.onerror = resolve));
  document.head.append(link);
  return loaded;
}
