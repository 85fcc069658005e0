// A page that is open goes on by itself. New readings are told over one connection, or asked for where nothing comes
// over it; ages grow without a request to the server, and what is too old is not shown as current.

import { note, onReturn, reachable } from "./link.js";
import { duration, t } from "./texts.js";

const ADDRESS = new URL("../events", import.meta.url);
const POLL_MS = 10_000;
// Something comes every 10 s (web/api/events.py); where nothing does, a proxy holds it back.
const PATIENCE_MS = 22_000;
// Then, or where too many pages are open, it is tried again after this.
const AGAIN_MS = 60_000;
// All open pages learn of a reading at once, and of a service that is back.
const SPREAD_MS = 400;

let source = null;
let lastId = Number(document.querySelector("[data-last-id]")?.dataset.lastId) || null;
let opensAt = 0;
let heardAt = -Infinity;
let askedAt = performance.now();
let restsUntil = 0;
let listener = null;
// The stations whose readings came: null is any of them, undefined none.
let news;
let timer = 0;
let isAsking = false;

/** Let `ask(stations, lastId)` ask for what the page shows soon after readings came, null of any station, up to the one of that id. It
 * gives a promise. */
export function follow(ask) {
  listener = ask;
  document.addEventListener("visibilitychange", () => {
    // A browser has six connections for all pages of a service, so one that nobody sees has none.
    if (document.hidden) shut(0);
    else back();
  });
  addEventListener("pageshow", ({ persisted }) => persisted && back());
  onReturn(back);
  setInterval(tick, 1000);
  tick();
}

/** Who comes back is not kept waiting. */
function back() {
  opensAt = Math.min(opensAt, performance.now());
  tell(null);
  tick();
}

function tick() {
  if (document.hidden) return;
  const now = performance.now();
  const isHeard = now - heardAt < PATIENCE_MS;
  if (source && !isHeard && now - opensAt >= PATIENCE_MS) shut(AGAIN_MS);
  if (!source && now >= opensAt) open();
  if (!isHeard && now - askedAt >= POLL_MS) tell(null);
}

function open() {
  opensAt = performance.now();
  if (!globalThis.EventSource) return;
  source = new EventSource(ADDRESS);
  source.onmessage = ({ data }) => {
    const { last_id: id, stations } = JSON.parse(data);
    heardAt = performance.now();
    note(true);
    const isNew = id !== lastId && lastId !== null;
    lastId = id ?? lastId;
    if (isNew && id !== null) tell(stations);
  };
  source.onerror = () => {
    // One that was heard ends because the service restarts, or the network is gone.
    const wasHeard = heardAt > opensAt;
    shut(wasHeard ? 1000 + Math.random() * 2000 : AGAIN_MS);
    if (wasHeard) reachable();
  };
}

/** Close it for so many milliseconds. */
function shut(ms) {
  source?.close();
  source = null;
  heardAt = -Infinity;
  opensAt = performance.now() + ms;
}

function tell(stations) {
  news = news === undefined ? stations : news && stations && [...news, ...stations];
  plan();
}

function plan() {
  if (news === undefined || timer || isAsking) return;
  timer = setTimeout(ask, Math.max(Math.random() * SPREAD_MS, restsUntil - performance.now()));
}

async function ask() {
  const stations = news;
  timer = 0;
  news = undefined;
  isAsking = true;
  askedAt = performance.now();
  await listener(stations, lastId).catch(() => {});
  // It rests for as long as the answer took: many pages ask a slow machine less often.
  restsUntil = 2 * performance.now() - askedAt;
  isAsking = false;
  plan();
}

/** Show the ages of the page as they are so many seconds after its parts were made. */
export function grow(passedSec) {
  for (const time of document.querySelectorAll("[data-age]")) {
    const age = Number(time.dataset.age) + passedSec;
    if (time.closest(".state")) doubt(time, age);
    const text = ago(time.dataset.kind, age);
    if (time.textContent !== text) time.textContent = text;
  }
}

/** How long ago a station has sent, or a value was measured, as `age_text` of `cards.py` says it. */
function ago(kind, seconds) {
  const values = { duration: duration(seconds) };
  if (kind === "awaited") return t("waiting; last data {duration} ago", values);
  if (kind === "silent") return t("no data for {duration}", values);
  return t("{duration} ago", values);
}

/** A station of which nothing has come for longer than the service waits. */
function doubt(time, age) {
  const station = time.closest(".receiving[data-silent-after]");
  if (!station || age <= Number(station.dataset.silentAfter)) return;
  station.classList.replace("receiving", "silent");
  time.dataset.kind = "silent";
  const state = time.closest(".state");
  state.replaceChildren(state.querySelector(".sign"), time);
  document.querySelector(".today .well")?.remove();
}
