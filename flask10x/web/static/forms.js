// What a form can do more with a script: a picker beside each time, and fields left out when empty.

/** Give each time field the browser's own picker; the text field stays, for `-24h` and the like. */
export function addPickers() {
  if (!("showPicker" in HTMLInputElement.prototype)) return;
  for (const field of document.querySelectorAll("input[data-pick]")) {
    if (field.parentElement.querySelector(".pick")) continue;
    const picker = make("input", { type: "datetime-local", step: "1", tabIndex: -1, ariaHidden: "true" });
    const button = make("button", { type: "button", className: "pick" });
    button.append(calendar());
    button.ariaLabel = `${field.parentElement.firstElementChild.textContent}: ${field.dataset.pick}`;
    button.addEventListener("click", (event) => {
      event.preventDefault();
      picker.value = /^\d{4}-\d\d-\d\d/.test(field.value) ? asPicked(field.value) : "";
      picker.showPicker();
    });
    picker.addEventListener("change", () => (field.value = picker.value.replace("T", " ")));
    field.after(button, picker);
  }
}

/** `2025-08-24`, `2025-08-24 09:00` as the picker wants it. */
function asPicked(text) {
  const [day, clock = "00:00"] = text.split(/[T ]/);
  return `${day}T${clock.match(/^\d\d:\d\d(:\d\d)?/)?.[0] ?? "00:00"}`;
}

/** Empty fields would make the address long. */
export function leaveOutEmpty() {
  document.addEventListener("submit", (event) => {
    for (const field of event.target.elements) {
      if (field.name && !field.value.trim()) field.disabled = true;
    }
  });
  // A page that comes back from the browser's cache must be whole again.
  addEventListener("pageshow", () => {
    for (const field of document.querySelectorAll("form :disabled")) field.disabled = false;
  });
}

function make(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}

function calendar() {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const path = document.createElementNS(space, "path");
  for (const [name, value] of Object.entries({ width: 18, height: 18, viewBox: "0 0 18 18", "aria-hidden": "true" })) svg.setAttribute(name, value);
  path.setAttribute("d", "M2.5 4.5h13v11h-13zM2.5 8h13M6 2v4M12 2v4");
  for (const [name, value] of Object.entries({ fill: "none", stroke: "currentColor", "stroke-width": 1.5 })) path.setAttribute(name, value);
  svg.append(path);
  return svg;
}
