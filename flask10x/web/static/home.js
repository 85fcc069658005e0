// The home keeps itself fresh: new tiles every half minute, ages and the clock every second.

import { Clock } from "./clock.js";
import { lasting, t } from "./texts.js";

const EVERY_MS = 30_000;
const PARTS = ["today", "tiles", "alerts-link"];

const home = document.getElementById("home");
const clock = new Clock(home.dataset.zone);
let drawnAt = performance.now();
let askedAt = performance.now();
let freshAt = Date.now();

async function refresh() {
  askedAt = performance.now();
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) throw new Error(`${answer.status}`);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of PARTS) {
    const part = fresh.getElementById(id);
    if (part) document.getElementById(id)?.replaceWith(part);
  }
  drawnAt = performance.now();
  freshAt = Date.now();
  document.getElementById("lost").hidden = true;
}

/** Old values are never shown as if they were fresh. */
function lose() {
  const lost = document.getElementById("lost");
  const text = t("lost.since", { time: clock.time.format(freshAt) });
  if (lost.textContent !== text) lost.textContent = text;
  lost.hidden = false;
}

/** Ages grow while nobody asks the server. */
function tick() {
  const passed = (performance.now() - drawnAt) / 1000;
  for (const time of home.querySelectorAll("[data-age]")) {
    const text = lasting(time.dataset.kind, Number(time.dataset.age) + passed);
    if (time.textContent !== text) time.textContent = text;
  }
  const shown = document.getElementById("clock");
  const text = clock.time.format(Date.now());
  if (shown && shown.textContent !== text) shown.textContent = text;
  if (!document.hidden && performance.now() - askedAt > EVERY_MS) refresh().catch(lose);
}

tick();
setInterval(tick, 1000);
