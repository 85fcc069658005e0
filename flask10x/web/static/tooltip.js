// The values at the cursor, in a box beside it: nothing of the page moves, and its time stays visible.

import { signOf } from "./colours.js";

// From the cursor's line, and from the edge of the window.
const AWAY_PIXELS = 16;
const EDGE_PIXELS = 4;
const SIGN_WIDTH = 18;

export class Tooltip {
  constructor(figure) {
    this.box = make("div", { className: "tooltip", hidden: true });
    figure.append(this.box);
  }

  get isShown() {
    return !this.box.hidden;
  }

  /** `lines` are `{ style, name, value, range, past }`, `past` a line that it is compared with, `texts` `{ text, isPast }` what the layers say; `x` and `y` are places in the window:
   * of the cursor's line, and of the middle of the box. Of the charts only one is read, and lies before the others.
   * Who moves the cursor by keys hears what is shown. */
  show({ at, lines, texts }, { x, y, isRead, isByKeys }) {
    const { clientWidth, clientHeight } = document.documentElement;
    this.box.hidden = y < 0 || y > clientHeight || !(lines.length || texts.length || at);
    if (this.box.hidden) return;
    this.box.ariaLive = isByKeys ? "polite" : "off";
    this.box.classList.toggle("read", isRead);
    const time = at ? [make("p", { className: "at", textContent: at })] : [];
    this.box.replaceChildren(...time, ...lines.map(lineOf), ...texts.map(textLine));
    const { width, height } = this.box.getBoundingClientRect();
    const right = x + AWAY_PIXELS;
    const left = right + width + EDGE_PIXELS <= clientWidth ? right : x - AWAY_PIXELS - width;
    const top = Math.min(clientHeight - EDGE_PIXELS - height, y - height / 2);
    this.box.style.translate = `${Math.round(Math.max(EDGE_PIXELS, left))}px ${Math.round(Math.max(EDGE_PIXELS, top))}px`;
  }

  hide() {
    this.box.hidden = true;
  }
}

function lineOf({ style, name, value, range, past }) {
  const line = make("p", {});
  // Lines break at the spaces.
  line.append(signOf(style, SIGN_WIDTH), " ", make("span", { textContent: name }), " ", make("b", { textContent: value || "–" }));
  if (range) line.append(" ", make("small", { textContent: range }));
  if (past) {
    const compared = make("span", { className: "past" });
    compared.append(signOf(past.style, SIGN_WIDTH), make("span", { className: "hidden", textContent: past.style.name }), " ", past.value);
    line.append(" ", compared);
  }
  return line;
}

const textLine = ({ text, isPast }) => make("p", { className: isPast ? "remark past" : "remark", textContent: text });

function make(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}
