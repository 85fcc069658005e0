// The first steps with a script: a board that knocks, a backup under way and the first value appear by themselves.

import { ask } from "./link.js";

const EVERY_MS = 3000;
const PARTS = ["knocking", "backing-up", "first-tile"];
const address = document.querySelector(".start").dataset.address;

/** Whether somebody is in this part, or has typed in it what is not sent yet. */
function isInUse(part) {
  const isTyped = ({ value, defaultValue }) => value !== defaultValue;
  return part.contains(document.activeElement) || [...part.querySelectorAll("input")].some(isTyped);
}

async function look() {
  if (document.hidden) return;
  const answer = await ask(address, { headers: { Accept: "text/html" }, cache: "no-store" });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of PARTS) {
    const [shown, now] = [document, page].map((each) => each.getElementById(id));
    if (!shown || !now || shown.innerHTML === now.innerHTML || isInUse(shown)) continue;
    shown.replaceChildren(...now.childNodes);
  }
}

async function follow() {
  try {
    await look();
  } catch {
    // The notice on top says that there is no answer.
  }
  setTimeout(follow, EVERY_MS);
}

setTimeout(follow, EVERY_MS);
