// Does the service answer? One notice on every page, and what makes the page go on by itself.

import { Clock } from "./clock.js";
import { duration, t } from "./texts.js";

const ROOT = new URL("../", import.meta.url);
const PROBE = new URL("healthz", ROOT);
const PROBE_MS = 4000;
// A page that asks nothing else asks whether the service is there; one that does asks no more.
const CHECK_MS = 30_000;
// While it is away: well within the ten seconds in which an open page is to come back.
const RETRY_MS = 5000;
// A restart takes some seconds, and is no news to anybody.
const PATIENCE_MS = 8000;
// What a web server in front answers by itself.
const OF_FRONT = [502, 504];

const page = document.documentElement;
const notice = document.getElementById("no-link");
const clock = new Clock(notice?.dataset.zone);
const listeners = [];
// A copy of the worker's is shown because there was no answer.
let isAway = Boolean(page.dataset.offline);
let triedAt = performance.now();
let failedAt = isAway ? triedAt : null;
let answeredAt = Date.now();

/** Call `listener()` when the service answers again. */
export const onReturn = (listener) => listeners.push(listener);

/** Ask for an address of the service, and note whether there is an answer at all. As `fetch`. */
export async function ask(address, options) {
  try {
    const answer = await fetch(address, options);
    note(!OF_FRONT.includes(answer.status));
    return answer;
  } catch (error) {
    // Who has broken it off says so by itself.
    if (error.name !== "AbortError") note(false);
    throw error;
  }
}

/** Whether the service answers now. */
export async function reachable() {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), PROBE_MS);
  triedAt = performance.now();
  try {
    const answer = await fetch(PROBE, { cache: "no-store", signal: patience.signal });
    note(answer.ok);
    return answer.ok;
  } catch {
    note(false);
    return false;
  } finally {
    clearTimeout(timer);
  }
}

/** What a request has shown; a reader who waits for it sees a failure `atOnce`. */
export function note(isAnswered, atOnce = false) {
  triedAt = performance.now();
  if (isAnswered) {
    answeredAt = Date.now();
    failedAt = null;
    if (isAway) come();
  } else {
    failedAt ??= triedAt;
    if (atOnce || triedAt - failedAt >= PATIENCE_MS) go();
  }
}

function go() {
  isAway = true;
  // A copy that was kept says of when it is, and the page that is shown where none was has no notice.
  if (page.dataset.offline || !notice?.hidden) return;
  page.dataset.lost = "";
  notice.querySelector("[role=alert]").textContent = t("The service has not answered since {time}; what is shown is from then. The page continues by itself.", { time: since() });
  notice.hidden = false;
  count();
}

function come() {
  isAway = false;
  delete page.dataset.lost;
  if (notice) notice.hidden = true;
  // What the worker shows has the address that was requested.
  if (page.dataset.offline) location.reload();
  else for (const listener of listeners) listener();
}

/** Also the day, of what is not of today. */
function since() {
  const isToday = clock.day(answeredAt) === clock.day(Date.now());
  return isToday ? clock.time.format(answeredAt) : clock.moment(answeredAt);
}

/** For how long, beside the time: it changes each second, so screen readers do not read it. */
function count() {
  const text = `(${duration((Date.now() - answeredAt) / 1000)})`;
  const shown = notice.querySelector(".for");
  if (shown.textContent !== text) shown.textContent = text;
}

function tick() {
  if (notice && !notice.hidden) count();
  if (document.hidden) return;
  const waited = performance.now() - triedAt;
  if (waited >= (failedAt === null ? CHECK_MS : RETRY_MS)) reachable();
}

setInterval(tick, 1000);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && failedAt !== null) reachable();
});
addEventListener("online", reachable);
addEventListener("offline", () => note(false, true));
// A page from the browser's own memory may be of any time.
addEventListener("pageshow", (event) => event.persisted && reachable());
