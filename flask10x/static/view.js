// One address is one view: the server draws it, and the parts that changed are put into the page.

const PARTS = ["cards", "filter", "table"];
const listeners = [];

/** Call `listener(names)` after parts of the page were replaced. */
export const onChange = (listener) => listeners.push(listener);

/** Fetch the page of this address and replace the parts named. Rejects when there is no answer. */
export async function show(url, names = PARTS) {
  const answer = await fetch(url, { headers: { Accept: "text/html" } });
  if (!answer.ok) throw new Error(`${answer.status}`);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  replace(fresh, names);
}

function replace(fresh, names) {
  for (const name of names) {
    const old = document.getElementById(name);
    const part = fresh.getElementById(name);
    if (!old || !part) continue;
    const focused = old.contains(document.activeElement) ? pathTo(document.activeElement, old) : null;
    old.replaceWith(part);
    if (focused) part.querySelector(focused)?.focus({ preventScroll: true });
  }
  const charts = document.getElementById("charts");
  const chartsNow = fresh.getElementById("charts");
  if (charts && chartsNow) charts.dataset.series = chartsNow.dataset.series;
  for (const listener of listeners) listener(names);
}

/** Where the focused element is found again in the new part. */
function pathTo(element, part) {
  if (element.id) return `#${element.id}`;
  const same = [...part.querySelectorAll(element.tagName)];
  const place = same.indexOf(element);
  const href = element.getAttribute("href");
  return href ? `a[href="${CSS.escape(href)}"]` : place === 0 ? element.tagName : null;
}

/** Go to another address without leaving the page; the back button leads back. */
export async function go(url) {
  history.pushState(null, "", url);
  await show(url);
}

/** Follow the back and forward buttons. */
export function followHistory() {
  addEventListener("popstate", (event) => {
    // A jump inside the page, to the table, changes nothing that is shown.
    if (event.state === null && location.hash) return;
    show(location.href).catch(() => location.reload());
  });
}
