// More lines than one chart bears: a panel for each, beside each other over the same time. Each panel spans as much around
// its own middle, so that slopes compare and levels are read from the axes.

import { isShown, nearestTo, placeOf } from "./lines.js";
import { briefly, numberOf } from "./numbers.js";
import { endNameOf, keyOf, make, Plot, titleOf, widthOf } from "./plot.js";
import { greatest, least } from "./scale.js";
import { isOff } from "./switched.js";
import { t, usualOf } from "./texts.js";

// So many lines share a chart, each with its name at its end.
export const MOST_LINES = 4;
// Above the high and below the low of a panel their values have this part of its height.
const ROOM = 0.2;
const SIDE_PIXELS = 12;
const DOT_PIXELS = 2.5;
// The middle of a value from its point.
const VALUE_PIXELS = 10;
const VALUE_FONT_PIXELS = 11;
// As in flask10x.css.
const HEAD_FONT = "600 13px system-ui, sans-serif";

/** The panels of a group; like a chart it has `group`, `plots` and `figure`. */
export class Panels {
  constructor(group, plotOf) {
    this.group = group;
    this.plots = group.map((series) => plotOf(Object.assign([series], { isFirst: group.isFirst }), Panel));
    const span = rounded(Math.max(...this.plots.map((plot) => plot.reach)) / (1 - 2 * ROOM) || 1);
    const caption = make("figcaption", {});
    const about = make("span", { className: "about-panels" });
    about.append(make("small", { className: "quiet", textContent: t("Each panel spans {span}.", { span: briefly(span, group[0].unit) }) }));
    const key = this.plots.flatMap((plot) => plot.layers.flatMap((layer) => layer.key ?? []))[0];
    if (key) about.append(make("ul", { className: "keys" }));
    if (key) about.lastChild.append(keyOf(key));
    caption.append(titleOf(group), about, waysOf(false));
    this.figure = make("figure", { className: "chart panels" });
    this.figure.append(caption, ...this.plots.map((plot) => plot.figure));
    for (const plot of this.plots) plot.settle(group, span);
  }
}

/** The two ways to show many lines. */
export function waysOf(isTogether) {
  const ways = make("span", { className: "choice-of-sides" });
  for (const [text, together] of [[t("Side by side"), ""], [t("Together"), "1"]]) {
    const button = make("button", { type: "button", className: "quiet", textContent: text, ariaPressed: String(Boolean(together) === isTogether) });
    button.dataset.together = together;
    ways.append(button);
  }
  return ways;
}

class Panel extends Plot {
  isSmall = true;

  frame() {
    return make("div", { className: "pane" });
  }

  caption() {
    this.head = make("ul", { className: "keys" });
    return this.head;
  }

  /** Give the panel its name among the lines of the whole group, and its span. */
  settle(group, span) {
    this.span = span;
    const [series] = this.group;
    this.now = make("b", {});
    this.past = make("span", { className: "past" });
    const values = make("li", { className: "now" });
    values.append(this.now, " ", this.past);
    // What a heading needs at most, so that nothing in it moves.
    const ends = [least(series.min), greatest(series.max), ...(this.ends() ?? [])];
    const wide = widthOf([...ends.map((value) => numberOf(value, this.unit)), this.isSilent ? t("silent") : ""], HEAD_FONT) + 1;
    this.now.style.width = `${wide}px`;
    this.past.style.width = this.layers.some(({ pastAt }) => pastAt) ? `${wide}px` : "0";
    const name = this.key(series, 0, endNameOf(series, group));
    name.style.color = this.styles[0].name;
    this.head.append(name, values);
  }

  fit() {}

  side() {
    return SIDE_PIXELS;
  }

  get isSilent() {
    const [times, until] = [this.group[0].times_ms, this.gaps[0].at(-1)?.[1]];
    return until !== undefined && !(times.at(-1) >= until);
  }

  /** How far the line and what it is compared with reach. */
  get reach() {
    const [low, high] = this.ends() ?? [0, 0];
    return isOff(this.group[0]) ? 0 : high - low;
  }

  values() {
    // A line without values has the place where it usually is.
    const [low, high] = this.ends() ?? usualOf(this.group[0]) ?? [0, 0];
    return [-1, 1].map((side) => (low + high + side * this.span) / 2);
  }

  /** The values at a time, in the heading; without a cursor the last ones. */
  tell(time) {
    const [series] = this.group;
    const isSilent = time === null && this.isSilent;
    const last = series.times_ms.length && !isSilent ? placeOf(series.times_ms.at(-1), this.answer) : this.answer.to_ms;
    const at = time ?? last;
    const near = series.times_ms.length && !this.gaps[0].some(([from, to]) => from <= at && at <= to) ? nearestTo(series, at, this.answer) : null;
    this.now.textContent = isSilent ? t("silent") : numberOf(near === null ? null : series.avg[near], this.unit);
    this.now.classList.toggle("warn", isSilent);
    const [past] = this.layers.flatMap(({ pastAt }) => pastAt?.(at) ?? []);
    this.past.textContent = past ? numberOf(past.number, this.unit) : "";
  }

  /** The highest and the lowest value, where they were; those off the scale have their marks. */
  label(chart, ink, ground) {
    const [series] = this.group;
    const [from, to] = this.range;
    const shown = series.times_ms.map((time) => placeOf(time, this.answer)).map((ms) => isShown(chart, 0) && from <= ms && ms <= to);
    const { ctx, bbox, scales } = chart;
    const ratio = devicePixelRatio;
    const written = [];
    ctx.save();
    ctx.font = `${VALUE_FONT_PIXELS * ratio}px system-ui, sans-serif`;
    Object.assign(ctx, { textAlign: "center", textBaseline: "middle", lineWidth: 3 * ratio, lineJoin: "round", strokeStyle: ground });
    for (const [name, endOf, side] of [["max", greatest, -1], ["min", least, 1]]) {
      const values = series[name].map((value, i) => (shown[i] ? value : null));
      const value = endOf(values);
      const text = numberOf(value, this.unit);
      if (!(scales.y.min <= value && value <= scales.y.max) || written.includes(text)) continue;
      written.push(text);
      const [x, y] = [chart.valToPos(placeOf(series.times_ms[values.indexOf(value)], this.answer), "x", true), chart.valToPos(value, "y", true)];
      ctx.fillStyle = this.styles[0].colour;
      ctx.beginPath();
      ctx.arc(x, y, DOT_PIXELS * ratio, 0, 2 * Math.PI);
      ctx.fill();
      const half = ctx.measureText(text).width / 2;
      const place = [Math.min(bbox.left + bbox.width - half, Math.max(bbox.left + half, x)), y + side * VALUE_PIXELS * ratio];
      ctx.strokeText(text, ...place);
      ctx.fillStyle = ink;
      ctx.fillText(text, ...place);
    }
    ctx.restore();
  }
}

/** A span of two digits, not shorter. */
function rounded(span) {
  const unit = 10 ** (Math.floor(Math.log10(span)) - 1);
  return Number((Math.ceil(span / unit) * unit).toPrecision(2));
}
