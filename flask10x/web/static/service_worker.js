// The last home and the last history, for when the service can't be reached. Never in place of a fresh answer.

const STORE = "flask10x-1";
const PAGES = ["/", "/history"];
const MARK = "<html ";

addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(tidy()));
addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (request.mode === "navigate") event.respondWith(page(request, url));
  else if (url.pathname.startsWith("/static/")) event.respondWith(file(request));
});

async function tidy() {
  for (const name of await caches.keys()) if (name !== STORE) await caches.delete(name);
  await clients.claim();
}

async function page(request, url) {
  const cache = await caches.open(STORE);
  try {
    const answer = await fetch(request);
    if (PAGES.includes(url.pathname)) await keep(cache, url.pathname, answer);
    return answer;
  } catch {
    return (await last(cache, url.pathname)) ?? (await last(cache, "/", "other")) ?? Response.error();
  }
}

/** One copy of each page. Who has to sign in leaves none behind, and the old ones go. */
async function keep(cache, path, answer) {
  const isPrivate = answer.status === 401 || (answer.headers.get("Cache-Control") ?? "").includes("no-store");
  if (isPrivate) for (const one of PAGES) await cache.delete(one);
  else if (answer.ok && !answer.redirected) await cache.put(path, answer.clone());
}

/** The copy, marked: its style shows what it is and of when. */
async function last(cache, path, which = "same") {
  const kept = await cache.match(path);
  if (!kept) return undefined;
  const text = (await kept.text()).replace(MARK, `${MARK}data-offline="${which}" `);
  return new Response(text, { headers: kept.headers });
}

async function file(request) {
  const cache = await caches.open(STORE);
  try {
    const answer = await fetch(request);
    if (answer.ok) await cache.put(request, answer.clone());
    return answer;
  } catch {
    return (await cache.match(request)) ?? Response.error();
  }
}
