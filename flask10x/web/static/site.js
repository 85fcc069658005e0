// On every page: what happens while the service can't be reached, and the menu that closes by itself.

const PROBE = "/healthz";
const PROBE_MS = 4000;

if ("serviceWorker" in navigator) navigator.serviceWorker.register("/static/service_worker.js", { scope: "/" }).catch(() => {});

/** Whether the service answers now. */
export async function reachable() {
  try {
    const answer = await fetch(PROBE, { cache: "no-store", signal: AbortSignal.timeout(PROBE_MS) });
    return answer.ok;
  } catch {
    return false;
  }
}

// A tap must not end in the browser's own page of errors: nothing leads back from there on a phone. Where a service
// worker is in charge it answers instead. On the window, so that a page's own handling of its links comes first.
addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const link = event.target.closest?.("a[href]");
  if (!link || link.target || link.origin !== location.origin || navigator.serviceWorker?.controller) return;
  if (link.hash && link.pathname === location.pathname && link.search === location.search) return;
  event.preventDefault();
  follow(link);
});

async function follow(link) {
  const notice = document.getElementById("no-link");
  const reached = await reachable();
  notice.hidden = reached;
  if (reached) location.assign(link.href);
  else notice.scrollIntoView({ block: "nearest" });
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
