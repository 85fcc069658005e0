// Finds the sections whose page, heading and text have all words of the query, as parts of words too:
// Japanese is written without spaces. SECTIONS comes from sections.js, written by built.py.
"use strict";

const AROUND = 60;
// A word in a heading, or in the title of the page, weighs more than in any text; at the beginning of the
// page, which has no heading, one in the title weighs most. How often it is in the text counts only where
// no heading has it: else a long section would come before the ones above it in the page. A word that a comment
// of the page names as sought weighs as one in its title.
const TITLE = 1000;
const HEADING = 100;
const HITS_MAX = 20;

const input = document.querySelector(".page-search input");
const list = document.getElementById("search-results");
const count = document.getElementById("search-count");

// As built.py has done with the texts.
const plain = (text) => text.normalize("NFKC").toLowerCase();

const hits = (text, word) => Math.min(text.split(word).length - 1, HITS_MAX);

// 0 where a word is missing.
function weight(section, words) {
  let sum = 0;
  for (const word of words) {
    const named =
      (plain(section.page).includes(word) ? (section.heading ? HEADING : TITLE) : 0) +
      (plain(section.sought).includes(word) ? TITLE : 0) +
      (plain(section.heading).includes(word) ? HEADING : 0);
    const found = named || hits(plain(section.text), word);
    if (!found) return 0;
    sum += found;
  }
  return sum;
}

// The text around the first word that is in it, with all words marked.
function excerpt(text, words) {
  const places = words.map((word) => plain(text).indexOf(word)).filter((at) => at >= 0);
  const begin = places.length ? Math.max(0, Math.min(...places) - AROUND) : 0;
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

// Pages for developers come after those for users.
const late = (section) => /^(decisions\/|repository\/|explanation\/architecture\.html)/.test(section.url);

function search() {
  const words = plain(input.value).split(/\s+/).filter((word) => word);
  const found = words.length ? SECTIONS.map((section) => [weight(section, words), section]) : [];
  const shown = found.filter(([sum]) => sum).sort(([one, a], [other, b]) => late(a) - late(b) || other - one);
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
