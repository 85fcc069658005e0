// Ages grow while nobody asks the server, and what is too old is not shown as if it still came in.

import { lasting, t } from "./texts.js";

/** Show the ages of the page as they are so many seconds after its parts were made. */
export function grow(passedSec) {
  for (const time of document.querySelectorAll("[data-age]")) {
    const age = Number(time.dataset.age) + passedSec;
    if (time.closest(".state")) doubt(time, age);
    const text = lasting(time.dataset.kind, age);
    if (time.textContent !== text) time.textContent = text;
  }
}

/** A station of which nothing has come for longer than the service waits. */
function doubt(time, age) {
  const station = time.closest(".receiving[data-silent-after]");
  if (!station || age <= Number(station.dataset.silentAfter)) return;
  station.classList.replace("receiving", "silent");
  time.dataset.kind = "no_data";
  const state = time.closest(".state");
  const sign = state.querySelector(".sign");
  state.replaceChildren(sign, t("state.no_data"), t("no_data.before"), time, t("no_data.after"));
  document.querySelector(".today .well")?.remove();
}
