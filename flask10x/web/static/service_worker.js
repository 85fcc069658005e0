// The last home and the last history, for when the service can't be reached, and a page that says so where neither was
// opened. Never in place of a fresh answer.

// Another program of the same origin may have stores of its own.
const OURS = "flask10x-";
// A new number where a file of ALONE has changed.
const STORE = `${OURS}2`;
// The service may be below another server's path.
const ROOT = new URL("../", location.href).pathname;
const PAGES = [ROOT, `${ROOT}history`];
const MARK = "<html ";
// What is shown where no copy is, with the files that it needs.
const STATIC = `${ROOT}static/`;
const ALONE = `${STATIC}offline.html`;
const FILES = [ALONE, ...["flask10x.css", "site.js", "link.js", "clock.js", "texts.js", "icon.svg"].map((name) => `${STATIC}${name}`)];
const BESIDE = '"./';
// What a web server in front answers while there is no service.
const OF_FRONT = [502, 504];

addEventListener("install", (event) => {
  skipWaiting();
  // Where there is no room for it the worker still serves.
  event.waitUntil(prepare().catch(() => {}));
});
addEventListener("activate", (event) => event.waitUntil(tidy()));
addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (request.mode === "navigate") event.respondWith(page(request, url));
  else if (url.pathname.startsWith(STATIC)) event.respondWith(file(request));
});

async function prepare() {
  const cache = await caches.open(STORE);
  await cache.addAll(FILES.map((file) => new Request(file, { cache: "no-cache" })));
}

async function tidy() {
  for (const name of await caches.keys()) if (name.startsWith(OURS) && name !== STORE) await caches.delete(name);
  await clients.claim();
}

async function page(request, url) {
  const answer = await fetch(request).catch(() => null);
  if (!answer || OF_FRONT.includes(answer.status)) {
    const copy = (await last(url.pathname)) ?? (await last(ROOT, "other")) ?? (await last(ALONE, "alone"));
    return copy ?? answer ?? Response.error();
  }
  if (PAGES.includes(url.pathname)) await keep(url.pathname, answer).catch(() => {});
  return answer;
}

/** One copy of each page. Who has to sign in leaves none behind, and the old ones go. Rejects when there is no room. */
async function keep(path, answer) {
  const cache = await caches.open(STORE);
  const isPrivate = answer.status === 401 || (answer.headers.get("Cache-Control") ?? "").includes("no-store");
  if (isPrivate) for (const one of PAGES) await cache.delete(one);
  else if (answer.ok && !answer.redirected) await cache.put(path, answer.clone());
}

/** The copy, marked: its style shows what it is and of when. */
async function last(path, which = "same") {
  const kept = await caches.match(path, { cacheName: STORE });
  if (!kept) return undefined;
  const text = (await kept.text())
    .replace(MARK, `${MARK}data-offline="${which}" `)
    .replaceAll(BESIDE, `"${STATIC}`);
  return new Response(text, { headers: kept.headers });
}

async function file(request) {
  const answer = await fetch(request).catch(() => null);
  if (!answer) return (await caches.match(request, { cacheName: STORE, ignoreSearch: true })) ?? Response.error();
  if (answer.ok) await keepFile(request, answer.clone()).catch(() => {});
  return answer;
}

/** Whatever query a file is asked for with, there is one copy of it. */
async function keepFile({ url }, answer) {
  const cache = await caches.open(STORE);
  await cache.put(url.split("?")[0], answer);
}
