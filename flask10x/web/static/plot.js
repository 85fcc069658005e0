// One chart: the average as a line in a band from minimum to maximum, for every series of a quantity.

import { alertAt, shade } from "./alerts.js";
import { gapsOf, hatch } from "./gaps.js";
import { aligned, lonely, placeOf } from "./lines.js";
import { columnName, digitsOfUnit, quantityName, stationName, t } from "./texts.js";
import { followFingers } from "./touch.js";

// Beside the colour, so that colour is never the only sign.
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 2], [1, 2]];
// Of a number below 1 in another unit: three that tell something.
const TELLING_DIGITS = 3;
const MOST_DIGITS = 9;
const SIGN_WIDTH = 26;
// More would make a summary that nobody listens to.
const GAPS_TOLD = 3;
const ALERTS_TOLD = 3;

/** What a series is called: its station, and its sensor where the station has several. */
export function nameOf(series) {
  const station = stationName(series.endpoint);
  if (series.measurement === series.quantity) return station;
  const name = columnName(series.measurement);
  // The title says the quantity; "Temperature (DHT11)" adds its sensor.
  return `${station} ${name.match(/[(（](.+)[)）]$/)?.[1] ?? name}`;
}

const idOf = (series) => `${series.endpoint} ${series.measurement}`;

export function textOf(value, unit) {
  if (!Number.isFinite(value)) return "–";
  const digits = digitsOfUnit(unit) ?? digitsOf(value);
  const number = new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false });
  return `${number.format(value)}${unit && !["°C", "%"].includes(unit) ? " " : ""}${unit}`;
}

/** How many digits behind the point a value has in a unit that an operator has named. */
function digitsOf(value) {
  if (!value || Math.abs(value) >= 1) return 1;
  return Math.min(MOST_DIGITS, TELLING_DIGITS - 1 - Math.floor(Math.log10(Math.abs(value))));
}

export class Plot {
  static zooming = false;
  /** Series that the reader has switched off; they stay off when the charts are drawn anew. */
  static off = new Set();

  /** `onZoom(fromMs, toMs)` is called when the reader has dragged across the chart. `nowMs` is the server's;
   * without it no gap is told of. `alerts` are those of this chart. */
  constructor(group, answer, clock, styles, onZoom, nowMs = null, alerts = []) {
    this.group = group;
    this.answer = answer;
    this.clock = clock;
    this.unit = group[0].unit;
    this.styles = styles;
    this.data = aligned(group, answer);
    this.gaps = group.map((series) => (nowMs === null ? [] : gapsOf(series, answer, nowMs)));
    this.alerts = alerts;
    this.range = wideOf(answer);
    this.figure = make("figure", { className: "chart" });
    this.figure.append(this.#caption(), this.#canvas());
    this.onZoom = onZoom;
  }

  /** Draw; the figure has to be in the page, for its width counts. */
  draw() {
    const { width, height } = this.#size();
    this.chart = new uPlot(this.#options(width, height), this.data, this.box);
    this.group.forEach((series, place) => Plot.off.has(idOf(series)) && this.#show(place, false));
    followFingers(this.chart, { view: (...range) => this.#view(range), choose: (from, to) => this.onZoom(from, to) });
    this.watch = new ResizeObserver(() => this.chart.setSize(this.#size()));
    this.watch.observe(this.box);
  }

  destroy() {
    this.watch?.disconnect();
    this.chart?.destroy();
  }

  /** Show another range of the same values for a while; null is that of the answer. */
  #view([from, to]) {
    this.range = from === null ? wideOf(this.answer) : [from, to];
    this.chart.setScale("x", { min: this.range[0], max: this.range[1] });
  }

  #size() {
    return { width: this.box.clientWidth, height: this.box.clientHeight };
  }

  #caption() {
    const caption = make("figcaption", {});
    this.at = make("span", { className: "at" });
    this.keys = make("ul", { className: "keys" });
    this.values = this.group.map((series, place) => this.#key(series, place));
    caption.append(make("strong", { textContent: this.title }), this.at, this.keys);
    return caption;
  }

  get title() {
    const name = quantityName(this.group[0].quantity);
    return this.unit ? t("plot.title", { name, unit: this.unit }) : name;
  }

  /** A line of the legend, which is also the switch of its series. */
  #key(series, place) {
    const button = make("button", { type: "button", ariaPressed: String(!Plot.off.has(idOf(series))), title: t("plot.hide", { name: nameOf(series) }) });
    const value = make("span", {});
    button.append(sign(this.styles[place]), make("span", { textContent: nameOf(series) }), value);
    button.addEventListener("click", () => {
      const shown = button.ariaPressed !== "true";
      button.ariaPressed = String(shown);
      if (shown) Plot.off.delete(idOf(series));
      else Plot.off.add(idOf(series));
      this.#show(place, shown);
    });
    const item = make("li", {});
    item.append(button);
    this.keys.append(item);
    return value;
  }

  #show(place, show) {
    for (const offset of [1, 2, 3]) this.chart.setSeries(place * 3 + offset, { show });
  }

  #canvas() {
    this.box = make("div", { className: "plot", tabIndex: 0, role: "img", ariaLabel: this.#summary() });
    // Over the chart, so that nothing moves when it says something.
    this.alerted = make("span", { className: "alerted", hidden: true });
    this.box.append(this.alerted);
    this.box.addEventListener("keydown", (event) => this.#step(event));
    return this.box;
  }

  /** What the picture shows, in words. */
  #summary() {
    const lines = this.group.map((series, place) => {
      const last = series.avg.at(-1);
      const [low, high] = [least(series.min), greatest(series.max)];
      const values = t("plot.summary", { name: nameOf(series), low: textOf(low, this.unit), high: textOf(high, this.unit), last: textOf(last, this.unit) });
      return [values, ...this.gaps[place].slice(-GAPS_TOLD).map((gap) => this.#gap(gap))].join(", ");
    });
    return `${this.title}. ${[...lines, ...this.alerts.slice(-ALERTS_TOLD).map((alert) => this.#alert(alert))].join("; ")}`;
  }

  #alert({ title, from_ms: from, to_ms: to }) {
    return t("plot.alert", { title, span: this.clock.span(from, to) });
  }

  #gap([from, to]) {
    return t("plot.gap", { span: this.clock.span(from, to) });
  }

  #options(width, height) {
    const { styles } = this;
    const [text, line, warn] = ["--quiet", "--line", "--warn"].map(colourOf);
    const axis = { stroke: text, font: "12px system-ui, sans-serif", grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1, size: 4 } };
    return {
      width,
      height,
      ms: 1,
      tzDate: this.clock.date,
      legend: { show: false },
      cursor: { sync: { key: "history" }, drag: { x: true, y: false, setScale: false }, points: { size: 7 }, bind: { dblclick: () => null } },
      scales: { x: { time: true, range: () => this.range }, y: { range: roomy } },
      axes: [
        { ...axis, space: 64, size: 40, values: (_, splits, __, ___, step) => this.clock.labels(splits, step) },
        { ...axis, size: 54, values: (_, splits) => splits.map((value) => String(Number(value.toPrecision(10)))) },
      ],
      series: [{}, ...this.group.flatMap((_, place) => three(styles[place]))],
      bands: this.group.map((_, place) => ({ series: [place * 3 + 3, place * 3 + 2], fill: styles[place].band })),
      hooks: { drawAxes: [(chart) => shade(chart, this.alerts, warn), (chart) => hatch(chart, this.gaps, styles)], setCursor: [(chart) => this.#tell(chart)], setSelect: [(chart) => this.#select(chart)] },
    };
  }

  /** The values under the cursor, beside the names. */
  #tell(chart) {
    const { idx, left } = chart.cursor;
    const time = left >= 0 && idx !== null && idx !== undefined ? this.#timeAt(chart.posToVal(left, "x"), this.data[0][idx]) : null;
    this.at.textContent = time === null ? "" : this.clock.text(time);
    this.values.forEach((span, place) => (span.textContent = time === null ? "" : this.#told(place, time)));
    const alert = time === null ? null : alertAt(this.alerts, chart.posToVal(left, "x"));
    this.alerted.hidden = !alert;
    this.alerted.textContent = alert ? this.#alert(alert) : "";
  }

  /** The bucket nearest to the cursor, but inside a gap the cursor's own time. */
  #timeAt(cursor, nearest) {
    return Math.abs(cursor - nearest) <= this.answer.bucket_ms ? nearest : cursor;
  }

  #told(place, time) {
    const gap = this.gaps[place].find(([from, to]) => from <= time && time <= to);
    if (gap) return this.#gap(gap);
    const near = this.#near(place, time);
    return near === null ? "" : this.#range(place, near);
  }

  /** The bucket of a series that is nearest to a time, but no further away than a gap. */
  #near(place, time) {
    const { times_ms: times, gap_ms: gap } = this.group[place];
    const bucket = this.answer.bucket_ms;
    const away = (i) => Math.abs(placeOf(times[i], this.answer) - time);
    let nearest = 0;
    times.forEach((_, i) => {
      if (away(i) < away(nearest)) nearest = i;
    });
    return away(nearest) <= Math.max(bucket, gap ?? bucket) ? nearest : null;
  }

  #range(place, i) {
    const series = this.group[place];
    const [low, mean, high] = [series.min[i], series.avg[i], series.max[i]].map((value) => textOf(value, this.unit));
    return low === high ? mean : `${mean} (${low} – ${high})`;
  }

  #select(chart) {
    const { left, width } = chart.select;
    if (width < 4) return;
    const [from, to] = [left, left + width].map((x) => chart.posToVal(x, "x"));
    chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    // The other charts are told of the same drag, and tell it again.
    if (Plot.zooming) return;
    Plot.zooming = true;
    setTimeout(() => (Plot.zooming = false));
    this.onZoom(from, to);
  }

  /** The arrow keys move the cursor. */
  #step(event) {
    const move = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 }[event.key];
    if (!move) return;
    event.preventDefault();
    const last = this.data[0].length - 1;
    const idx = Math.min(last, Math.max(0, (this.chart.cursor.idx ?? last) + move));
    this.chart.setCursor({ left: this.chart.valToPos(this.data[0][idx], "x"), top: 10 });
  }
}

// An infinity in the database is null here.
const known = (values) => values.filter((value) => value !== null);
const least = (values) => known(values).reduce((a, b) => Math.min(a, b), Infinity);
const greatest = (values) => known(values).reduce((a, b) => Math.max(a, b), -Infinity);

/** Average, minimum, maximum of a series; only the average is drawn as a line. */
function three({ colour, dash }) {
  const isolated = (chart, place, show) => (show ? null : lonely(chart.data[place]));
  const edge = { stroke: "transparent", width: 0, points: { show: false } };
  return [{ stroke: colour, width: 1.75, dash, points: { show: false, size: 5, fill: colour, filter: isolated } }, edge, edge];
}

/** The range of time; a single reading has none, and needs some width to be seen in. */
function wideOf({ from_ms: from, to_ms: to, bucket_ms: bucket }) {
  return from < to ? [from, to] : [from - bucket, to + bucket];
}

/** Some room above and below, so that no line runs along the edge. */
function roomy(_, low, high) {
  if (low === null || high === null) return [0, 1];
  const margin = (high - low) * 0.08 || Math.abs(high) * 0.02 || 1;
  return [low - margin, high + margin];
}

/** The colour that a variable of the style sheet stands for now. Read by its name it is still `light-dark(…)`,
 * which a canvas does not know; as the colour of an element it is one of the two. */
function colourOf(variable) {
  const element = document.body.appendChild(document.createElement("span"));
  element.style.color = `var(${variable})`;
  const { color } = getComputedStyle(element);
  element.remove();
  return color;
}

/** A station has its colour in every chart of the page; dashes tell the lines of one chart apart. A second line of a
 * station has a colour that no station of the chart has, as long as there are any. */
export function stylesOf(group, stations) {
  const colours = DASHES.length;
  const own = group.map((series) => stations.indexOf(series.endpoint) % colours);
  const taken = new Set(own);
  return group.map((series, line) => {
    let place = own[line];
    if (group.findIndex((other) => other.endpoint === series.endpoint) < line) {
      const free = [...Array(colours).keys()].map((step) => (place + step) % colours).find((one) => !taken.has(one));
      place = free ?? place;
      taken.add(place);
    }
    const colour = colourOf(`--series-${place + 1}`);
    // Behind the last dash the pairs of colour and dash go on, or the seventh line would look like the first.
    const dash = DASHES[(line + Math.floor(line / colours)) % colours];
    return { colour, dash, band: `color-mix(in srgb, ${colour} 20%, transparent)` };
  });
}

/** A piece of the line, as it is drawn. */
function sign({ colour, dash }) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const line = document.createElementNS(space, "line");
  for (const [name, value] of Object.entries({ width: SIGN_WIDTH, height: 8, "aria-hidden": "true" })) svg.setAttribute(name, value);
  for (const [name, value] of Object.entries({ x1: 0, x2: SIGN_WIDTH, y1: 4, y2: 4, stroke: colour, "stroke-width": 2.5, "stroke-dasharray": dash.join(" ") })) line.setAttribute(name, value);
  svg.append(line);
  return svg;
}

function make(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}
