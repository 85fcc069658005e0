// Finds the sections whose page, heading and text have all words of the query, as parts of words too:
// Japanese is written without spaces. SECTIONS comes from sections.js, written by built.py.
"use strict";

const AROUND = 60;
// A hit in the title of a page weighs more than any number of hits in a text.
const TITLE = 1000;
const HEADING = 100;
const HITS_MAX = 20;

const input = document.querySelector(".page-search input");
const list = document.getElementById("search-results");
const count = document.getElementById("search-count");

// As built.py has done with the texts.
const plain = (text) => text.normalize("NFKC").toLowerCase();

function hits(text, word) {
  let found = 0;
  for (let at = text.indexOf(word); at >= 0 && found < HITS_MAX; at = text.indexOf(word, at + 1)) found++;
  return found;
}

// 0 where a word is missing.
function weight(section, words) {
  let sum = 0;
  for (const word of words) {
    const found =
      hits(plain(section.page), word) * TITLE +
      hits(plain(section.heading), word) * HEADING +
      hits(plain(section.text), word);
    if (!found) return 0;
    sum += found;
  }
  return sum;
}

// The text around the first word that is in it, with all words marked.
function excerpt(text, words) {
  const lower = plain(text);
  const first = Math.max(0, Math.min(...words.map((word) => lower.indexOf(word)).filter((at) => at >= 0)));
  const begin = Number.isFinite(first) ? Math.max(0, first - AROUND) : 0;
  const end = begin + 3 * AROUND;
  const shown = (begin ? "… " : "") + text.slice(begin, end).trim() + (end < text.length ? " …" : "");
  const line = document.createElement("p");
  line.append(...marked(shown, words));
  return line;
}

function marked(text, words) {
  const escaped = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return text.split(new RegExp(`(${escaped.join("|")})`, "gi")).map((part, index) => {
    if (index % 2 === 0) return part;
    const mark = document.createElement("mark");
    mark.textContent = part;
    return mark;
  });
}

function item(section, words) {
  const link = document.createElement("a");
  link.href = section.url;
  link.append(...marked(section.page, words));
  if (section.heading) link.append(" › ", ...marked(section.heading, words));
  const item = document.createElement("li");
  item.append(link, excerpt(section.text, words));
  return item;
}

function search() {
  const words = plain(input.value).split(/\s+/).filter((word) => word);
  const found = words.length ? SECTIONS.map((section) => [weight(section, words), section]) : [];
  const shown = found.filter(([sum]) => sum).sort(([one], [other]) => other - one);
  list.replaceChildren(...shown.map(([, section]) => item(section, words)));
  count.textContent = !words.length
    ? ""
    : shown.length
      ? count.dataset.found.replace("{}", shown.length)
      : count.dataset.none;
}

// The form's page is this one: without a reload, but with an address that can be kept.
function keep(event) {
  event?.preventDefault();
  history.replaceState(null, "", `?q=${encodeURIComponent(input.value)}`);
  search();
}

input.value = new URLSearchParams(location.search).get("q") ?? "";
input.addEventListener("input", keep);
input.form.addEventListener("submit", keep);
search();
input.focus();
