// The history page with a script: keys, pickers, charts, and new readings, which are announced politely and shown when
// the reader wants them; chips and charts go on by themselves. All else works without.

import * as charts from "./charts.js";
import * as keys from "./keys.js";
import * as link from "./link.js";
import { follow, grow } from "./live.js";
import * as sort from "./sort.js";
import { plural, t } from "./texts.js";
import { followLinks, onChange, show, unfold } from "./view.js";

const CARDS_EVERY_MS = 30_000;
// An answer to `since` holds at most this many; more are announced as "more than".
const MOST = 999;

let lastId = null;
let unseen = 0;
let paused = false;
let drawnAt = performance.now();
let cardsAt = drawnAt;

function prepare() {
  for (const copy of document.querySelectorAll("[data-copied]")) copy.hidden = false;
}

prepare();
onChange(prepare);
// The address of the table leads to its rows.
const reach = () => location.hash === "#table" && unfold();
reach();
addEventListener("hashchange", reach);
followLinks();
keys.listen();
if (document.getElementById("table")) {
  startLive();
  sort.start();
  charts.start();
}

// What one can do with a value, and what the panels of the bar have more with a script, is loaded when somebody wants it.
let downAt = 0;
addEventListener("pointerdown", ({ clientX }) => (downAt = clientX));
addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  const chosen = event.target.closest("#table tbody a, #note-here");
  if (chosen) event.preventDefault();
  // A drag across a chart chooses a range.
  else if (!event.target.closest(".u-over") || Math.abs(event.clientX - downAt) > 3) return;
  import("./reading.js").then((reading) => (chosen ? reading.follow(chosen) : reading.choose(event)));
}, true);
addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches(".plot")) import("./reading.js").then((reading) => reading.choose(event));
});
const fill = (drop) => drop.open && import("./share.js").then((share) => share.fill(drop));
addEventListener("toggle", ({ target }) => target.matches(".drop") && fill(target), true);
document.querySelectorAll(".drop").forEach(fill);

// Focus and jumps keep clear of the bar, and the heads of tables stop below it.
const bar = document.getElementById("bar");
new ResizeObserver(() => document.documentElement.style.setProperty("--bar", `${bar.offsetHeight}px`)).observe(bar);

function startLive() {
  take();
  onChange((names) => {
    if (names.includes("table")) take();
    if (names.includes("cards")) drawnAt = performance.now();
  });
  document.addEventListener("click", press);
  follow(ask);
  setInterval(() => {
    grow((performance.now() - drawnAt) / 1000);
    if (!document.hidden && !paused && performance.now() - cardsAt >= CARDS_EVERY_MS) showCards();
  }, 1000);
}

function showCards() {
  cardsAt = performance.now();
  return show(location.href, ["cards"]).catch(() => {});
}

function table() {
  return document.getElementById("table");
}

/** Begin at what the table shows. */
function take() {
  lastId = table().dataset.lastId ?? null;
  unseen = 0;
  const pause = document.getElementById("pause");
  if (pause) pause.hidden = false;
  showState();
}

async function ask(stations) {
  if (document.hidden || paused) return;
  const shows = showCards();
  // A page further on has no data-live: who reads there is not disturbed.
  if (table().dataset.live && lastId !== null && unseen <= MOST && isMine(stations)) await count();
  await shows;
  charts.freshen();
}

/** Whether the view is of one of these stations; null is any. */
function isMine(stations) {
  const chosen = new URLSearchParams(location.search).getAll("endpoint");
  return !stations || !chosen.length || chosen.some((station) => stations.includes(station));
}

async function count() {
  const address = new URL(table().dataset.live, location.href);
  address.searchParams.set("since", lastId);
  try {
    const answer = await link.ask(address);
    if (!answer.ok) throw new Error(`${answer.status}`);
    const asked = lastId;
    const readings = await answer.json();
    if (asked !== lastId) return;
    lastId = answer.headers.get("X-Last-Id") ?? lastId;
    unseen += readings.length;
    if (unseen > MOST) announce(t("Show more than {n} new readings", { n: MOST }));
    else if (unseen) announce(plural("Show {n} new reading", "Show {n} new readings", unseen));
    else announce("");
  } catch {
    announce(t("No answer from the server; trying again"), true);
  }
}

function announce(text, isTrouble = false) {
  const button = document.getElementById("new");
  button.hidden = !text;
  button.disabled = isTrouble;
  if (button.textContent !== text) button.textContent = text;
}

function press(event) {
  if (event.target.closest("#new")) {
    show(location.href).then(
      () => {
        unfold();
        table().querySelector(".scroll")?.focus({ preventScroll: true });
      },
      () => announce(t("No answer from the server; trying again"), true),
    );
  }
  if (event.target.closest("#pause")) {
    paused = !paused;
    showState();
  }
}

function showState() {
  const pause = document.getElementById("pause");
  if (!pause) return;
  pause.textContent = paused ? t("Resume updates") : t("Pause updates");
}
