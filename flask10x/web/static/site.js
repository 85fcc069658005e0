// On every page: what happens while the service can't be reached, and the menu that closes by itself.

// The service may stand below another server's path, so addresses are beside this file's own.
const WORKER = new URL("service_worker.js", import.meta.url);
const ROOT = new URL("../", import.meta.url);
const PROBE = new URL("healthz", ROOT);
const PROBE_MS = 4000;

navigator.serviceWorker?.register(WORKER, { scope: ROOT.pathname }).catch(() => {});

/** Whether the service answers now. */
export async function reachable() {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), PROBE_MS);
  try {
    const answer = await fetch(PROBE, { cache: "no-store", signal: patience.signal });
    return answer.ok;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

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
  send(form);
});

async function send(form) {
  // Who taps twice sends once.
  if (form.ariaBusy) return;
  form.ariaBusy = "true";
  const isReached = tell(await reachable());
  form.ariaBusy = null;
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
  const notice = document.getElementById("no-link");
  notice.hidden = isReached;
  if (!isReached) notice.scrollIntoView({ block: "nearest" });
  return isReached;
}

addEventListener("online", () => {
  document.getElementById("no-link").hidden = true;
  if (document.documentElement.dataset.offline) reachable().then((yes) => yes && location.reload());
});

const more = document.querySelector("details.more");
document.addEventListener("click", (event) => {
  if (more?.open && !more.contains(event.target) && !event.target.closest?.(".switches")) more.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !more?.open) return;
  more.open = false;
  more.querySelector("summary").focus();
});
