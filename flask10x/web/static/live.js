// New readings: asked for every ten seconds, announced politely, shown when the reader wants them.

import { grow } from "./ages.js";
import * as link from "./link.js";
import { plural, t } from "./texts.js";
import { onChange, show } from "./view.js";

const EVERY_MS = 10_000;
const CARDS_EVERY_MS = 30_000;
// An answer to `since` holds at most this many; more are announced as "more than".
const MOST = 999;

let lastId = null;
let unseen = 0;
let paused = false;
let drawnAt = performance.now();

export function start() {
  take();
  onChange((names) => {
    if (names.includes("table")) take();
    if (names.includes("cards")) drawnAt = performance.now();
  });
  document.addEventListener("click", press);
  // A reader who comes back to the page sees them at once.
  document.addEventListener("visibilitychange", ask);
  setInterval(ask, EVERY_MS);
  link.onReturn(() => {
    ask();
    show(location.href, ["cards"]).catch(() => {});
  });
  setInterval(() => grow((performance.now() - drawnAt) / 1000), 1000);
  let cardsAt = performance.now();
  setInterval(() => {
    if (document.hidden || paused || performance.now() - cardsAt < CARDS_EVERY_MS) return;
    cardsAt = performance.now();
    show(location.href, ["cards"]).catch(() => {});
  }, 1000);
}

const table = () => document.getElementById("table");
// A page further on has no data-live: who reads there is not disturbed.
const resting = () => document.hidden || paused || !table()?.dataset.live;

/** Begin at what the table shows. */
function take() {
  lastId = table()?.dataset.lastId ?? null;
  unseen = 0;
  const pause = document.getElementById("pause");
  if (pause) pause.hidden = false;
  showState();
}

async function ask() {
  if (resting() || lastId === null || unseen > MOST) return;
  const address = new URL(table().dataset.live, location.href);
  address.searchParams.set("since", lastId);
  try {
    const answer = await link.ask(address);
    if (!answer.ok) throw new Error(`${answer.status}`);
    const asked = lastId;
    const readings = await answer.json();
    if (asked !== lastId) return;
    lastId = answer.headers.get("X-Last-Id") ?? lastId;
    addUnseen(readings.length);
  } catch {
    announce(t("No answer from the server; trying again"), true);
  }
}

function addUnseen(number) {
  unseen += number;
  if (number) show(location.href, ["cards"]).catch(() => {});
  if (unseen > MOST) announce(t("Show more than {n} new readings", { n: MOST }));
  else if (unseen) announce(plural("Show {n} new reading", "Show {n} new readings", unseen));
  else announce("");
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
      () => table().querySelector(".scroll")?.focus({ preventScroll: true }),
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
