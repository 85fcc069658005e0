// Stations in the order of their tiles: moved by their handles with a mouse or a finger, and by their buttons, without
// leaving the page. Without this script the buttons do it by themselves.

import { ask, note, onReturn } from "./link.js";

const FORM = "#ordering";
let isSaving = false;

document.addEventListener("submit", (event) => {
  if (!event.target.matches(FORM)) return;
  event.preventDefault();
  const { name, value, id } = event.submitter ?? {};
  save(name ? [name, value] : null, value, id);
});

/** Send the order, and put what the server answers in the place of the list; `pair` is that of a button. */
async function save(pair, moved, focused) {
  if (isSaving) return;
  isSaving = true;
  const form = document.querySelector(FORM);
  const sent = new FormData(form);
  if (pair) sent.append(...pair);
  form.ariaBusy = "true";
  try {
    const answer = await ask(form.action, { method: "POST", body: new URLSearchParams(sent) });
    const made = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(FORM);
    // What was refused has a page of its own, which says why.
    if (!answer.ok || !made) return leave(form, pair);
    form.replaceWith(made);
    say(made, moved, focused);
  } catch {
    // Nothing is lost but the move: once the service answers again the page shows the order that it has.
    note(false, true);
    onReturn(() => location.reload());
  } finally {
    isSaving = false;
    form.ariaBusy = null;
  }
}

function leave(form, pair) {
  if (pair) form.append(Object.assign(document.createElement("input"), { type: "hidden", name: pair[0], value: pair[1] }));
  form.submit();
}

function say(form, moved, focused) {
  const rows = [...form.querySelectorAll("li")];
  const place = rows.findIndex((row) => row.id === `station-${moved}`);
  if (place < 0) return;
  const button = document.getElementById(focused);
  // The first one goes up no further: then its other button is at hand.
  (button?.disabled ? rows[place].querySelector("button:not(:disabled)") : button)?.focus();
  const values = { name: rows[place].dataset.name, place: place + 1, n: rows.length };
  document.getElementById("ordering-said").textContent = form.dataset.place.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

document.addEventListener("pointerdown", (event) => {
  const handle = event.target.closest?.(`${FORM} .handle`);
  if (!handle || event.button || isSaving) return;
  event.preventDefault();
  const row = handle.closest("li");
  const before = orderOf(row.parentElement);
  const next = row.nextElementSibling;
  row.classList.add("dragged");
  handle.setPointerCapture(event.pointerId);
  // The others go around it: a row that is moved itself would lose the pointer.
  const move = ({ clientY }) => {
    for (let other = row.previousElementSibling; other && clientY < middleOf(other); other = row.previousElementSibling) row.after(other);
    for (let other = row.nextElementSibling; other && clientY > middleOf(other); other = row.nextElementSibling) row.before(other);
  };
  const end = (isKept) => {
    row.classList.remove("dragged");
    listening.abort();
    if (!isKept) row.parentElement.insertBefore(row, next);
    else if (orderOf(row.parentElement) !== before) save(null, row.id.replace("station-", ""), "");
  };
  const listening = new AbortController();
  const { signal } = listening;
  handle.addEventListener("pointermove", move, { signal });
  handle.addEventListener("pointerup", () => end(true), { signal });
  handle.addEventListener("pointercancel", () => end(false), { signal });
  document.addEventListener("keydown", ({ key }) => key === "Escape" && end(false), { signal });
});

const orderOf = (list) => [...list.children].map(({ id }) => id).join(" ");

function middleOf(element) {
  const { top, height } = element.getBoundingClientRect();
  return top + height / 2;
}
