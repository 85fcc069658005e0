// The choice of what is compared takes effect at once; without a script its form has a button.

import { go } from "./view.js";

export function followChoice() {
  document.addEventListener("change", ({ target }) => {
    if (!target.matches("#compare select")) return;
    const url = new URL(location.href);
    url.searchParams.delete("compare");
    if (target.value) url.searchParams.set("compare", target.value);
    go(url.href);
  });
}
