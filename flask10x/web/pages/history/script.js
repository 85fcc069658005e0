// The history page with a script: keys, pickers, live updates, charts. All else works without.

import * as charts from "./charts.js";
import * as forms from "./forms.js";
import * as keys from "./keys.js";
import * as live from "./live.js";
import * as sort from "./sort.js";
import * as view from "./view.js";

function prepare(names = ["filter"]) {
  forms.addPickers();
  for (const copy of document.querySelectorAll("[data-copied]")) copy.hidden = false;
  if (names.includes("filter")) showChosen();
}

/** The chip of the station that was chosen, in a row that goes on to the side. */
function showChosen() {
  const cards = document.getElementById("cards");
  const chip = cards.querySelector("a[aria-current]")?.closest(".card");
  if (chip) cards.scrollLeft = chip.offsetLeft - cards.firstElementChild.offsetLeft;
}

prepare();
view.onChange(prepare);
view.followLinks();
forms.leaveOutEmpty();
keys.listen();
if (document.getElementById("table")) {
  live.start();
  sort.start();
  charts.start();
}

// Focus and jumps keep clear of the bar, and the heads of tables stop below it.
const bar = document.getElementById("bar");
new ResizeObserver(() => document.documentElement.style.setProperty("--bar", `${bar.offsetHeight}px`)).observe(bar);
