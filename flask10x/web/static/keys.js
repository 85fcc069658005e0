// Keys, each a way to what a link or a button does too. Never while somebody types.

const TYPING = "input:not([type=checkbox]), select, textarea, [contenteditable]";
const KEYS = {
  "/": toFilter,
  n: () => press('main a[rel="next"]'),
  p: () => press('main a[rel="prev"]'),
  "+": () => press('[data-zoom="in"]:not([hidden])'),
  "-": () => press('[data-zoom="out"]:not([hidden])'),
  0: () => press('[data-zoom="reset"]:not([hidden])'),
  "?": help,
};

export function listen() {
  const hint = document.querySelector("[data-keys]");
  if (hint) hint.hidden = false;
  document.querySelector("[data-help]")?.addEventListener("click", help);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest(TYPING)) return;
    // While the list of keys is open, no key changes what lies behind it.
    if (document.querySelector("dialog[open]") && event.key !== "?") return;
    if (KEYS[event.key]?.()) event.preventDefault();
  });
}

function toFilter() {
  const filter = document.getElementById("filter");
  const panel = filter.querySelector("details.panel") ?? filter.querySelector("details");
  if (panel) panel.open = true;
  (panel ?? filter).querySelector("input").focus();
  return true;
}

/** Open the list of all keys, or close it. */
function help() {
  const list = document.getElementById("help");
  if (list.open) list.close();
  else list.showModal();
  return true;
}

function press(css) {
  const target = document.querySelector(css);
  target?.click();
  return Boolean(target);
}
