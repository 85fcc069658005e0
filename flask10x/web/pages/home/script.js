// The home keeps itself fresh: new tiles with each reading and every half minute, ages and the clock every second. On the wall it does so
// for months, so nothing of an old tile is held anywhere.

import { Clock } from "./clock.js";
import * as link from "./link.js";
import { follow, grow } from "./live.js";

const EVERY_MS = 30_000;
// A try that gets no answer must not keep the next from being made.
const PATIENCE_MS = 15_000;
// Once a day, at night, the page on the wall loads itself again for the script of a newer version.
const RELOAD_HOUR = "04";
const RELOAD_AFTER_MS = 12 * 3_600_000;
const PARTS = ["today", "senders", "tiles", "unheard", "alerts-link"];

const home = document.getElementById("home");
const clock = new Clock(home.dataset.zone);
const loadedAt = performance.now();
let drawnAt = performance.now();
let askedAt = performance.now();
let asking = false;

/** Ask for the page and put its tiles in the place of those shown. Rejects when it has none. */
async function refresh(lastId) {
  const fresh = new DOMParser().parseFromString(await page(lastId), "text/html");
  if (!fresh.getElementById("tiles")) throw new Error("no tiles");
  const focused = document.activeElement?.closest(".tile")?.id;
  const isOnFold = document.activeElement?.matches("summary");
  const open = [...document.querySelectorAll(".tile details[open]")].map(({ id }) => id);
  const read = scrollY && (document.getElementById(focused) ?? [...document.querySelectorAll(".tile")].find((tile) => topOf(tile) > 0));
  const top = read && topOf(read);
  for (const id of PARTS) {
    // A part that is no more goes, too: a station with a tile is not also listed as one without data.
    document.getElementById(id)?.replaceWith(...[fresh.getElementById(id)].filter(Boolean));
  }
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  // On the wall it is dim by night.
  document.body.className = fresh.body.className;
  if (focused) document.getElementById(focused)?.querySelector(isOnFold ? "summary" : "a")?.focus({ preventScroll: true });
  // What is above it may have become longer.
  const stays = read && document.getElementById(read.id);
  if (stays) scrollBy({ top: topOf(stays) - top, behavior: "instant" });
  drawnAt = performance.now();
}

const topOf = (element) => element.getBoundingClientRect().top;

/** The text of this page as it is now, or as another has got it that has the reading of the id. An old tablet has no AbortSignal.timeout. */
async function page(lastId) {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), PATIENCE_MS);
  try {
    const answer = await link.ask(location.href, { headers: { Accept: "text/html", ...(lastId && { "Flask10X-Last-Id": lastId }) }, cache: "no-store", signal: patience.signal });
    if (!answer.ok) throw new Error(`${answer.status}`);
    return await answer.text();
  } finally {
    clearTimeout(timer);
  }
}

export async function ask(_stations, lastId) {
  if (asking) return;
  asking = true;
  askedAt = performance.now();
  try {
    await refresh(lastId);
    if (isNight()) location.reload();
  } catch {
    // The notice says when there is no answer.
  } finally {
    asking = false;
  }
}

function isNight() {
  const isOnWall = document.body.classList.contains("kiosk");
  return isOnWall && performance.now() - loadedAt > RELOAD_AFTER_MS && clock.time.format(Date.now()).startsWith(RELOAD_HOUR);
}

/** Ages grow without a request to the server. */
function tick() {
  grow((performance.now() - drawnAt) / 1000);
  const shown = document.getElementById("clock");
  const text = clock.time.format(Date.now());
  if (shown && shown.textContent !== text) shown.textContent = text;
  if (!document.hidden && performance.now() - askedAt > EVERY_MS) ask();
}

if (home.dataset.lastId) follow(ask);
tick();
setInterval(tick, 1000);
