// The charts of the page: one for each quantity, all over the same range of time.

import { Clock } from "./clock.js";
import { PLAIN, stylesOf } from "./colours.js";
import { layersOf, loadLayers } from "./layers.js";
import { chartsOf, PACKED, unpacked, withSilent } from "./lines.js";
import { written as separated } from "./numbers.js";
import { MOST_LINES, Panels, waysOf } from "./panels.js";
import { Plot } from "./plot.js";
import { keep } from "./switched.js";
import { BETWEEN_SENTENCES, exactly, isHidden, limitsOf, quantityName, t } from "./texts.js";
import { go, onChange } from "./view.js";
import { longEnough, nearer, relative, Trail, viewOf, wider, within } from "./zoom.js";

// What the server gives at most; and what a chart has beside its plot.
const MOST_BUCKETS = 600;
// A year is drawn in days on any screen.
const LEAST_BUCKETS = 370;
const BESIDE_PLOT_PIXELS = 150;
// From this width on two charts are beside each other (flask10x.css).
const TWO_COLUMNS_PX = 1100;
const REFRESH_MS = 60_000;
const HOUR_MS = 3_600_000;
// In the address: many lines share a chart.
const TOGETHER = "together";
// The start of a range that has none; an address without one is that of the last day.
const ALL = "all";
// How long to wait before asking again, after an error or while charts are being prepared: at first, and at most.
const FIRST_PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 30_000;

const trail = new Trail();
let plots = [];
let shown = null;
let asked = 0;
let jumped = false;
let lookedAt = -Infinity;
let drawnAt = 0;
// How far the server's clock is ahead of the browser's.
let aheadMs = 0;
// The next question, if one is due by itself, and the pause before the one after it.
let nextDraw = null;
let pauseMs = FIRST_PAUSE_MS;

export function start() {
  if (!globalThis.uPlot || !document.getElementById("plots")) return;
  const tools = document.querySelector(".tools");
  tools.hidden = false;
  // A phone has no room for them in the bar, where its fingers do the same.
  if (matchMedia("(max-width: 40rem)").matches) document.querySelector(".about > div").append(tools);
  draw();
  onChange((names) => {
    if (!names.includes("filter")) return;
    pauseMs = FIRST_PAUSE_MS;
    draw();
  });
  document.getElementById("charts-again").addEventListener("click", draw);
  // Nobody asks while the page is hidden; who comes back need not wait.
  document.addEventListener("visibilitychange", () => nextDraw && !document.hidden && draw());
  const folded = document.getElementById("folded");
  folded.addEventListener("toggle", () => keep("unfolded", folded.open ? "1" : ""));
  document.addEventListener("click", (event) => press(event.target.closest("[data-zoom]")?.dataset.zoom));
  document.addEventListener("dblclick", (event) => event.target.closest(".plot") && press("reset"));
  document.addEventListener("click", (event) => show(event.target.closest("[data-together]")));
  for (const name of ["pointermove", "pointerdown", "keydown"]) document.addEventListener(name, look);
  // The boxes beside the cursors have their place in the window.
  addEventListener("scroll", () => plots.forEach((plot) => plot.follow()), { passive: true });
  setInterval(() => document.hidden || freshen(), REFRESH_MS);
  // A canvas keeps the colours in which it was drawn: those of the dark are too pale for paper.
  for (const media of ["(prefers-color-scheme: dark)", ...PLAIN]) matchMedia(media).addEventListener("change", () => shown && redraw(shown));
}

/** Draw what has come, once a bucket of it has, unless somebody reads values off a chart. */
export function freshen() {
  if (!shown || !isLive() || isLookedAt()) return;
  if (performance.now() - drawnAt >= Math.min(REFRESH_MS, shown.bucket_ms)) draw();
}

const now = () => Date.now() + aheadMs;

const isLive = () => Boolean(document.getElementById("table")?.dataset.live);

/** Whether somebody reads values off a chart, which a new drawing would take away. A mouse that was left there, or
 * the focus after a tap, does not: a page on the wall goes on. */
const isLookedAt = () => performance.now() - lookedAt < REFRESH_MS;

function look(event) {
  if (event.target.closest(".plot")) lookedAt = performance.now();
}

/** Fetch the values of this view and draw them; what was drawn stays until they are there. */
async function draw() {
  const number = ++asked;
  const box = document.getElementById("plots");
  clearTimeout(nextDraw);
  nextDraw = null;
  box.ariaBusy = "true";
  try {
    const answer = await fetch(address(box), { headers: { Accept: PACKED } });
    const values = await answer.json();
    if (number !== asked) return;
    if (values.rollups_behind) return prepare(values.rollups_behind);
    if (!answer.ok) throw new Error(`${answer.status}`);
    aheadMs = (Date.parse(answer.headers.get("Date")) || Date.now()) - Date.now();
    pauseMs = FIRST_PAUSE_MS;
    const answered = shownOf(unpacked(values));
    await loadLayers(answered);
    if (number === asked) redraw(answered);
  } catch {
    if (number !== asked) return;
    say(t("The values could not be fetched. The table below has them."), true);
    askLater();
  } finally {
    if (number === asked) box.ariaBusy = "false";
  }
}

/** The answer without the lines that pages leave out, unless a measurement was asked for; and until now with those of
 * stations that are silent. */
function shownOf(answer) {
  const [stations, columns] = ["endpoint", "measurement"].map((name) => query().getAll(name));
  const isShown = (line) => columns.length || !isHidden(line);
  const has = (names, name) => !names.length || names.includes(name);
  const isAsked = ({ endpoint, measurement }) => has(stations, endpoint) && has(columns, measurement);
  answer.series = answer.series.filter(isShown);
  if (isLive() && !isFiltered()) answer.series = withSilent(answer.series, isAsked);
  if (answer.compared?.series) answer.compared.series = answer.compared.series.filter(isShown);
  return answer;
}

/** The server is still preparing what it draws from: say how far it is, and ask again. */
function prepare({ done, of }) {
  say(t("The charts are being prepared: {percent} %. They will appear here.", { percent: Math.floor((100 * done) / of) }));
  askLater();
}

function askLater() {
  nextDraw = setTimeout(() => document.hidden || draw(), pauseMs);
  pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 1.5);
}

/** Where the values of this view are. */
const source = () => new URL(document.getElementById("charts").dataset.series, location.href);
const query = () => source().searchParams;

function address(box) {
  const url = source();
  // Hidden while there is nothing to draw.
  const all = box.clientWidth || box.parentElement.clientWidth;
  const width = all / (all < TWO_COLUMNS_PX ? 1 : 2);
  // One for each pixel: a year is drawn in days.
  const buckets = Math.round((width - BESIDE_PLOT_PIXELS) * devicePixelRatio);
  url.searchParams.set("buckets", Math.min(MOST_BUCKETS, Math.max(LEAST_BUCKETS, buckets)));
  return url;
}

function redraw(answer) {
  // A range that goes on until now shows how long nothing has come.
  if (isLive() && range()[0] !== ALL) answer.to_ms = Math.max(answer.to_ms, now());
  shown = answer;
  drawnAt = performance.now();
  const focused = plots.findIndex(({ figure }) => figure.contains(document.activeElement));
  for (const plot of plots) plot.destroy();
  const clock = new Clock(answer.zone);
  const plotOf = (group, Kind = Plot) => {
    const context = { clock, nowMs: now(), isFiltered: isFiltered(), styles: stylesOf(group) };
    return new Kind(group, answer, context, layersOf(group, answer, context), zoom);
  };
  const charts = chartsOf(answer).map((group) => (group.length > MOST_LINES ? ofMany(group, plotOf) : plotOf(group)));
  plots = charts.flatMap((chart) => chart.plots);
  // Where there is nothing else, they are not folded.
  const folded = charts.every(({ group }) => group.isRaw) ? [] : charts.filter(({ group }) => group.isRaw);
  const unfolded = charts.filter((chart) => !folded.includes(chart));
  const box = document.getElementById("plots");
  box.hidden = !plots.length;
  for (const tool of document.querySelectorAll("[data-zoom]")) {
    tool.hidden = false;
    tool.disabled = !wayTo(tool.dataset.zoom);
  }
  box.replaceChildren(...unfolded.map((chart) => chart.figure));
  fold(folded);
  drawAll(unfolded);
  drawAll(folded, unfolded[0]?.plots[0]);
  plots[focused]?.box.focus({ preventScroll: true });
  jump();
  say(plots.length ? "" : sentences([t("No values to draw in this range."), ...measurements().map(limitsOf)]));
  document.getElementById("charts-about").textContent = plots.length ? about(answer) : t("Nothing drawn yet.");
}

/** A chart of many lines: a panel for each, or as the address says all of them together. */
function ofMany(group, plotOf) {
  if (!isTogether()) return new Panels(group, plotOf);
  const chart = plotOf(group);
  chart.figure.querySelector("figcaption").append(waysOf(true));
  return chart;
}

const isTogether = () => new URL(location.href).searchParams.has(TOGETHER);

/** The panels of a figure are alike, and so are all charts without panels. */
function drawAll(charts, like) {
  Plot.drawAll(charts.filter((chart) => chart instanceof Plot), like);
  for (const chart of charts) if (chart instanceof Panels) Plot.drawAll(chart.plots, like);
}

/** Show many lines side by side or together, as the button says, and leave the focus on it. */
function show(button) {
  if (!button) return;
  const place = [...document.querySelectorAll(".choice-of-sides")].indexOf(button.parentElement);
  keep(TOGETHER, button.dataset.together);
  redraw(shown);
  document.querySelectorAll(".choice-of-sides")[place].querySelector("[aria-pressed=true]").focus();
}

/** What few people look at is behind a line that names it; the address has whether it is open. */
function fold(folded) {
  const details = document.getElementById("folded");
  details.hidden = !folded.length;
  details.querySelector("summary").textContent = [...new Set(folded.map(({ group }) => quantityName(group[0].quantity)))].join(t(", "));
  details.querySelector(".charts").replaceChildren(...folded.map((chart) => chart.figure));
}

/** The charts push the table down; who came for the table is taken along, once. */
function jump() {
  if (!jumped && location.hash) document.querySelector(location.hash)?.scrollIntoView({ behavior: "instant" });
  jumped = true;
}

/** Whether conditions leave readings out: then what is not shown may well be there. */
function isFiltered() {
  return [...query().keys()].some((name) => name === "incomplete" || name.includes("__"));
}

function about(answer) {
  const zone = answer.zone || t("the server");
  const madeOf = t("Readings: {readings}; each point covers {span}; times in {zone}.", { readings: separated(answer.readings, 0), span: stepOf(answer), zone });
  const series = plots.flatMap((plot) => plot.group);
  const remarks = [
    [series.some(({ min, max }) => min.some((low, i) => low !== max[i])), t("Pale band: from the lowest to the highest value; of more than two lines, the one at the cursor.")],
    [series.some(({ partial }) => partial?.length), t("Faint: incomplete interval.")],
    [plots.some((plot) => plot.isCut), t("▲▼: far beyond the scale.")],
    [plots.some((plot) => plot.gaps.flat().length), t("Hatched: no data.")],
  ];
  const says = new Set(plots.flatMap((plot) => plot.layers.map((layer) => layer.says ?? "")));
  // Longer buckets are the same with or without readings.
  const isOfHours = answer.removed_ms !== null && answer.bucket_ms === HOUR_MS;
  const removed = isOfHours ? t("Readings up to {time} were removed; their hourly means remain.", { time: new Clock(answer.zone).moment(answer.removed_ms) }) : "";
  // Where a derived value has none, nothing need be missing.
  const limits = plots.flatMap((plot) => plot.group.filter((_, place) => plot.gaps[place].length).map((one) => limitsOf(one.measurement)));
  return sentences([madeOf, removed, ...remarks.filter(([holds]) => holds).map(([, text]) => text), ...says, ...new Set(limits)]);
}

const sentences = (texts) => texts.filter(Boolean).join(BETWEEN_SENTENCES);

/** The measurements and derived values that the query names. */
function measurements() {
  return query().getAll("measurement");
}

/** How long a bucket is, in words; months and years differ in length. */
function stepOf({ step, bucket_ms: bucketMs }) {
  const named = { month: t("1 month"), year: t("1 year") };
  return named[step] ?? exactly(Math.max(1, Math.round(bucketMs / 1000)));
}

/** What keeps charts from being there; what they show is explained where the bar has its sign for it. */
function say(text, hasFailed = false) {
  const state = document.getElementById("charts-state");
  if (state.textContent !== text) state.textContent = text;
  document.getElementById("charts-again").hidden = !hasFailed;
}

/** Show the range that was chosen in a chart: the address changes, table and charts follow. */
function zoom(fromMs, toMs) {
  const view = seen();
  const [from, to] = within(longEnough(fromMs, toMs), view);
  if (from >= to) return;
  const [length, before] = [toMs - fromMs, view.to - view.from];
  const chosen = written(from, to, view.nowMs);
  // Two fingers may make it longer; then there is no way back in.
  if (length < 1.01 * before) trail.push(here(), JSON.stringify(chosen), length > 0.99 * before);
  visit(chosen);
}

const seen = () => viewOf(shown, { isLive: [null, "", "now"].includes(range()[1]), nowMs: now() });

/** A range as an address says it: `[from, to]`, without an end when it goes on until now. */
function written(from, to, nowMs) {
  const clock = new Clock(shown.zone);
  return to < nowMs ? [clock.parameter(from), clock.parameter(to)] : [clock.parameter(from), null];
}

/** The range of the address. */
function range() {
  const { searchParams } = new URL(location.href);
  return [searchParams.get("from"), searchParams.get("to")];
}

const here = () => JSON.stringify(range());

function visit([from, to]) {
  const url = new URL(location.href);
  url.hash = "";
  url.searchParams.delete("cursor");
  for (const [name, value] of Object.entries({ from, to })) {
    if (value === null) url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  go(url.href);
}

/** The range that a button leads to; null for none. Looking wider first goes back the way that was come. */
function wayTo(button) {
  if (button === "reset") {
    // Who came by a link to a range has nothing to go back to but everything.
    const first = trail.first(here());
    return first ? JSON.parse(first) : range()[1] === null ? null : [ALL, null];
  }
  const last = button === "out" ? trail.last(here()) : null;
  if (last) return JSON.parse(last);
  if (!shown || shown.from_ms === null) return null;
  const view = seen();
  const [from, to] = (button === "in" ? nearer(view) : wider(view)) ?? [];
  if (from === undefined) return null;
  if (from <= view.firstMs && to >= view.nowMs) return [ALL, null];
  // So long before now, and not since then: it goes on like the range that it comes from.
  return to >= view.nowMs ? [relative(to - from), null] : written(from, to, view.nowMs);
}

/** The buttons zoom too, for who can't drag. */
function press(button) {
  const way = button ? wayTo(button) : null;
  if (!way) return;
  if (button === "in") trail.push(here(), JSON.stringify(way), false);
  else trail.goBack(JSON.stringify(way));
  visit(way);
}
