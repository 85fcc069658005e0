// Keys: `/` to the filter, `n` and `p` to the neighbouring pages. Never while somebody types.

const TYPING = "input, select, textarea, [contenteditable]";

export function listen() {
  const hint = document.querySelector("[data-keys]");
  if (hint) hint.hidden = false;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest(TYPING)) return;
    const done = { "/": toFilter, n: () => follow("next"), p: () => follow("prev") }[event.key]?.();
    if (done) event.preventDefault();
  });
}

function toFilter() {
  const details = document.querySelector("#filter details");
  details.open = true;
  details.querySelector("input").focus();
  return true;
}

function follow(rel) {
  const link = document.querySelector(`#table a[rel="${rel}"]`);
  link?.click();
  return Boolean(link);
}
