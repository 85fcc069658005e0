// On every page: links and forms while the service can't be reached, and the menu that closes by itself.

import { note, reachable } from "./link.js";

// The service may be below another server's path, so addresses are beside this file's own.
const WORKER = new URL("service_worker.js", import.meta.url);
const ROOT = new URL("../", import.meta.url);

navigator.serviceWorker?.register(WORKER, { scope: ROOT.pathname }).catch(() => {});

// A tap must not end in the browser's own page of errors: nothing leads back from there on a phone. Where a service
// worker is in charge it answers instead. On the window, so that a page's own handling of its links comes first.
addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const link = event.target.closest?.("a[href]");
  if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin || isLookedAfter()) return;
  if (link.hash && link.pathname === location.pathname && link.search === location.search) return;
  event.preventDefault();
  follow(link.href);
});

// What was written in a form must not be lost either. No worker answers what is posted.
addEventListener("submit", (event) => {
  const form = event.target;
  const posts = form.getAttribute("method") === "post";
  if (event.defaultPrevented || form.getAttribute("method") === "dialog" || (!posts && isLookedAfter())) return;
  event.preventDefault();
  send(form, event.submitter);
});

async function send(form, button) {
  // Who taps twice sends once.
  if (form.ariaBusy) return;
  form.ariaBusy = "true";
  const isReached = tell(await reachable());
  form.ariaBusy = null;
  // It would be left out of what is sent.
  if (button?.name) form.append(Object.assign(document.createElement("input"), { type: "hidden", name: button.name, value: button.value }));
  if (isReached) form.submit();
  else for (const field of form.querySelectorAll(":disabled")) field.disabled = false;
}

const isLookedAfter = () => Boolean(navigator.serviceWorker?.controller);

/** Leave for this address; without the service the page stays and says so. Whether it leaves. */
export async function follow(address) {
  const leaves = isLookedAfter() || tell(await reachable());
  if (leaves) location.assign(address);
  return leaves;
}

/** Say so when the service can't be reached. */
function tell(isReached) {
  note(isReached, true);
  if (!isReached) document.getElementById("no-link")?.scrollIntoView({ block: "nearest" });
  return isReached;
}

// A page that was kept without a choice of the reader's language.
if (document.documentElement.dataset.offline === "alone") {
  const chosen = /(?:^|; )lang=(\w+)/.exec(document.cookie)?.[1] ?? navigator.language.slice(0, 2);
  document.documentElement.lang = chosen === "ja" ? "ja" : "en";
}

const openDrops = () => document.querySelectorAll("details:is(.more, .drop)[open]");
document.addEventListener("click", ({ target }) => {
  for (const drop of openDrops()) {
    if (!drop.contains(target)) drop.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const drop of openDrops()) {
    drop.open = false;
    drop.querySelector("summary").focus();
  }
});

// What has a button for it is copied: a field by its id, or the command before the button. The clipboard is only there
// over HTTPS and on localhost; elsewhere the text is selected.
for (const button of document.querySelectorAll("[data-copied]")) button.hidden = false;
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copied]");
  if (!button) return;
  const { copies, copied } = button.dataset;
  const source = copies ? document.getElementById(copies) : button.previousElementSibling;
  if (copies) source.select();
  else if (!navigator.clipboard) getSelection().selectAllChildren(source);
  const isCopied = navigator.clipboard
    ? await navigator.clipboard.writeText(copies ? source.value : source.textContent).then(() => true, () => false)
    : document.execCommand("copy");
  if (isCopied) button.textContent = copied;
});
