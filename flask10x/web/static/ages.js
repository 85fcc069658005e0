// Ages grow without a request to the server, and what is too old is not shown as current.

import { duration, t } from "./texts.js";

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
  if (kind === "awaited") return t("awaited; last {duration} ago", values);
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
