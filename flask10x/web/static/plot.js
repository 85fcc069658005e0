// One chart: the average as a line in a band from minimum to maximum, for every series of a quantity.

import { colourOf, isPlain, paler, signOf } from "./colours.js";
import { gapsOf, hatch, stripOf } from "./gaps.js";
import { aligned, columnOf, COLUMNS, endOf, isShown, lonely, nearestTo, placeOf } from "./lines.js";
import { axisTexts, numberOf, textOf } from "./numbers.js";
import { beyond, greatest, least, limitsOf, markSpikes, measured, spread } from "./scale.js";
import { isOff, turn } from "./switched.js";
import { columnName, quantityName, stationName, t } from "./texts.js";
import { Tooltip } from "./tooltip.js";
import { followFingers, followShift } from "./touch.js";

const SIGN_WIDTH = 16;
// A longer summary would be too long to listen to.
const GAPS_TOLD = 3;
const SPIKES_TOLD = 3;
const TICK_PIXELS = 4;
const AXIS_GAP_PIXELS = 5;
const FONT = "12px system-ui, sans-serif";
// Below the plot: a line of text with its distance from it, and a second line where days change within hours.
const FOOT_PIXELS = 26;
const LINE_PIXELS = 14;
const TOP_PIXELS = 8;
// Between two values of the axis, at least.
const SPACE_PIXELS = 30;
const SMALL_SPACE_PIXELS = 20;
// Between two times. No day has a longer name than the 28th of December.
const APART_PIXELS = 12;
const LONG_DAY_MS = Date.UTC(2000, 11, 28);
const LONG_TIME = "00:00";
const DAY_MS = 86_400_000;
// So much of the colour of lines has the grid, and less where that is the colour of everything.
const GRID_PERCENT = 65;
const PLAIN_GRID_PERCENT = 20;
// Between a line and its name. Words of bands need so much, and names have so much of a chart's width at most.
const LEAD_PIXELS = 12;
const WORDS_PIXELS = 64;
const NAMES_PART = 0.2;
const WIDTH_PIXELS = 2;
const THIN_PIXELS = 1;
// A range of each of more lines would hide the others.
const MOST_RANGES = 2;

/** What a series is called: its station, and its sensor where the station has several. */
export function nameOf(series) {
  const station = stationName(series.endpoint);
  if (series.measurement === series.quantity) return station;
  const name = columnName(series.measurement);
  // The title says the quantity; "Temperature (DHT11)" adds its sensor.
  return `${station} ${name.match(/[(（](.+)[)）]$/)?.[1] ?? name}`;
}

/** What a line is called at its end: without the sensor where its station has no other line in the chart. */
export const endNameOf = (series, group) => (group.some((other) => other !== series && other.endpoint === series.endpoint) ? nameOf(series) : stationName(series.endpoint));

export class Plot {
  static zooming = false;
  /** The chart that the reader is at; the others show their values at the same time in short. */
  static read = null;
  /** The time that was read last, also after the cursor has left. */
  static readMs = null;

  /** The room beside the plot, shared by charts that are drawn alike. */
  room = { names: 0, axis: 0 };

  /** `onZoom(fromMs, toMs)` is called when the reader has dragged across the chart. `context` and `layers` are those
   * of layers.js. */
  constructor(group, answer, context, layers, onZoom) {
    const { clock, nowMs, isFiltered, styles } = context;
    this.group = group;
    this.answer = answer;
    this.clock = clock;
    this.unit = group[0].unit;
    this.styles = styles;
    this.layers = layers;
    this.data = aligned(group, answer);
    // What conditions leave out may well be there.
    this.gaps = group.map((series) => (isFiltered ? [] : gapsOf(series, answer, nowMs)));
    this.lanePixels = layers.reduce((sum, { lanePixels = 0 }) => sum + lanePixels, 0);
    this.range = wideOf(answer);
    this.figure = this.frame();
    const sentences = layers.flatMap((layer) => layer.sentences ?? []).map((text) => make("li", { textContent: text }));
    this.figure.append(this.caption());
    if (sentences.length) this.figure.append(make("ul", { className: "quiet sentences" }));
    if (sentences.length) this.figure.lastChild.append(...sentences);
    this.figure.append(this.#canvas());
    this.tooltip = new Tooltip(this.figure);
    this.onZoom = onZoom;
  }

  /** As Panels have them (panels.js). */
  get plots() {
    return [this];
  }

  /** Draw them, alike: times are below each other, for the room for names and values is that of the widest. The figures
   * have to be in the page, for their width counts. Those that are folded are as wide as `like` until they are seen. */
  static drawAll(plots, like) {
    const room = like?.room ?? { names: 0, axis: 0 };
    room.names = Math.max(room.names, ...plots.map((plot) => plot.#namesWidth()));
    for (const plot of plots) plot.room = room;
    for (const plot of plots) plot.draw(like);
    for (const plot of plots) if (plot.axisPixels < room.axis) plot.chart.redraw(false, true);
  }

  draw(like = this) {
    const { width, height } = this.#size(like);
    this.limits = this.values();
    this.box.ariaLabel = this.#summary();
    this.chart = new uPlot(this.#options(width, height), this.data, this.box);
    this.group.forEach((series, place) => isOff(series) && this.#show(place, false));
    const ways = { view: (range) => this.#view(range), choose: (from, to) => this.onZoom(from, to) };
    followFingers(this.chart, ways);
    followShift(this.chart, ways);
    // Now it is known how much the times take.
    if (like === this) this.chart.setSize(this.#size());
    this.fit();
    this.tell(null);
    this.watch = new ResizeObserver(() => {
      if (!this.box.clientWidth) return;
      this.fit();
      this.chart.setSize(this.#size());
    });
    this.watch.observe(this.box);
  }

  destroy() {
    this.isGone = true;
    this.watch?.disconnect();
    this.chart?.destroy();
  }

  /** Show another range of the same values for a while; null is that of the answer. */
  #view(range) {
    this.range = range ?? wideOf(this.answer);
    this.chart.setScale("x", { min: this.range[0], max: this.range[1] });
  }

  #size(like = this) {
    return { width: this.box.clientWidth || like.box.clientWidth, height: this.box.clientHeight || like.box.clientHeight };
  }

  /** Names stand beside the title where it has room for all of them, else below the plot. */
  fit() {
    const { classList } = this.figure;
    classList.remove("many");
    classList.toggle("many", this.keys.scrollWidth > this.keys.clientWidth);
  }

  #namesWidth() {
    return widthOf(this.group.map((series) => endNameOf(series, this.group)), `600 ${FONT}`);
  }

  /** The room beside the plot; what is longer takes two lines there. */
  side() {
    const most = Math.max(WORDS_PIXELS, NAMES_PART * this.box.clientWidth);
    return Math.min(most, Math.max(WORDS_PIXELS, this.room.names + 1)) + LEAD_PIXELS;
  }

  frame() {
    return make("figure", { className: "chart" });
  }

  caption() {
    const caption = make("figcaption", {});
    this.keys = make("ul", { className: "keys" });
    this.keys.append(...this.layers.flatMap(({ key }) => (key ? [keyOf(key)] : [])), ...this.group.map((series, place) => this.key(series, place)));
    caption.append(titleOf(this.group), this.keys);
    return caption;
  }

  /** A line of the legend, which is also the switch of its series. */
  key(series, place, name = nameOf(series)) {
    const button = make("button", { type: "button", ariaPressed: String(!isOff(series)), title: t("Hide or show {name}", { name: nameOf(series) }) });
    button.append(signOf(this.styles[place], SIGN_WIDTH), make("span", { textContent: name }));
    button.addEventListener("click", () => {
      const shown = button.ariaPressed !== "true";
      button.ariaPressed = String(shown);
      turn(series, !shown);
      this.#show(place, shown);
    });
    for (const name of ["pointerenter", "focus"]) button.addEventListener(name, () => this.#lookAt(place));
    for (const name of ["pointerleave", "blur"]) button.addEventListener(name, () => this.#lookAt(null));
    const item = make("li", {});
    item.append(button);
    return item;
  }

  #show(place, show) {
    for (let column = 0; column < COLUMNS; column += 1) this.chart.setSeries(columnOf(place) + column, { show });
  }

  #canvas() {
    this.box = make("div", { className: "plot", tabIndex: 0, role: "img" });
    this.#foot([]);
    this.names = make("div", { className: "names" });
    this.box.append(this.names);
    this.box.addEventListener("keydown", (event) => this.#step(event));
    this.box.addEventListener("blur", ({ relatedTarget: next }) => next?.closest(".plot") || this.leave());
    // Where the mouse is, for the box beside it; a finger would cover that.
    for (const name of ["pointerdown", "pointermove"]) this.box.addEventListener(name, (event) => this.#point(event), { capture: true });
    return this.box;
  }

  /** What the picture shows, in words. */
  #summary() {
    const lines = this.group.map((series, place) => {
      const last = series.avg.at(-1);
      const [low, high] = [least(series.min), greatest(series.max)];
      const name = nameOf(series);
      const ends = { low: textOf(low, this.unit), high: textOf(high, this.unit), last: textOf(last, this.unit) };
      const values = series.avg.length ? t("{name}: lowest {low}, highest {high}, last {last}", { name, ...ends }) : name;
      const spikes = beyond(series, this.limits).sort((one, other) => Math.abs(other.value - last) - Math.abs(one.value - last));
      const cut = spikes.slice(0, SPIKES_TOLD).map(({ i, value }) => t("off the scale: {value} ({time})", { value: textOf(value, this.unit), time: this.#bucket(place, i) }));
      return [values, ...cut, ...this.gaps[place].slice(-GAPS_TOLD).map((gap) => this.#gap(gap))].join(", ");
    });
    return `${titleText(this.group)}. ${[...lines, ...this.layers.map((layer) => layer.summary)].filter(Boolean).join("; ")}`;
  }

  #gap([from, to]) {
    return t("no data {span}", { span: this.clock.span(from, to) });
  }

  #options(width, height) {
    const { styles } = this;
    const [text, line, ink, ground] = ["--quiet", "--line", "--text", "--card"].map(colourOf);
    const axis = { stroke: text, font: FONT, grid: { stroke: paler(line, isPlain() ? PLAIN_GRID_PERCENT : GRID_PERCENT), width: 1 }, ticks: { stroke: line, width: 1, size: TICK_PIXELS } };
    const strip = stripOf(this.gaps) + this.lanePixels;
    const mouse = (name) => [name, this.#ofMouse];
    const bind = { ...Object.fromEntries(["mousedown", "mousemove", "mouseup", "mouseleave"].map(mouse)), dblclick: () => null };
    return {
      width,
      height,
      padding: [TOP_PIXELS, () => this.side(), 0, 0],
      ms: 1,
      tzDate: this.clock.date,
      legend: { show: false },
      cursor: { y: false, sync: { key: "history" }, drag: { x: true, y: false, setScale: false }, points: { size: 7 }, bind },
      scales: { x: { time: true, range: () => this.range }, y: { range: () => this.values() } },
      axes: [
        { ...axis, grid: { show: false }, space: () => this.#apart(), size: (_, texts) => this.#foot(texts ?? []), gap: AXIS_GAP_PIXELS + strip, values: (_, splits, __, ___, step) => this.clock.labels(splits, step) },
        { ...axis, space: this.isSmall ? SMALL_SPACE_PIXELS : SPACE_PIXELS, ticks: { show: false }, gap: AXIS_GAP_PIXELS, size: (_, texts) => this.#axisWidth(texts ?? []), values: (_, splits) => axisTexts(splits) },
      ],
      series: [{}, ...this.group.flatMap((_, place) => columns(styles[place]))],
      bands: this.group.map((_, place) => ({ series: [columnOf(place) + 2, columnOf(place) + 1], fill: () => (this.#showsRange(place) ? styles[place].band : "transparent") })),
      hooks: {
        drawAxes: [...this.#drawn("under"), (chart) => hatch(chart, this.gaps, styles, this.lanePixels)],
        draw: [(chart) => this.label(chart, ink, ground), ...this.#drawn("over"), (chart) => markSpikes(chart, this.#spikes(chart), this.unit, { text: ink, ground })],
        setCursor: [(chart) => this.#showValues(chart)],
        setSelect: [(chart) => this.#select(chart)],
      },
    };
  }

  #drawn(part) {
    return this.layers.filter((layer) => layer[part]).map((layer) => (chart) => layer[part](chart));
  }

  /** How high the axis of times is. It never gets lower, so that nothing moves under fingers. */
  #foot(texts) {
    const wanted = FOOT_PIXELS + stripOf(this.gaps) + this.lanePixels + (texts.some((text) => text.includes("\n")) ? LINE_PIXELS : 0);
    this.footPixels = Math.max(this.footPixels ?? 0, wanted);
    this.box.style.setProperty("--around", `${this.footPixels + TOP_PIXELS}px`);
    return this.footPixels;
  }

  /** How far two times are from each other, at least; in a small chart that is not of days the day is below some of them. */
  #apart() {
    const isOfHours = this.isSmall && this.range[1] - this.range[0] <= 2 * DAY_MS;
    return widthOf([isOfHours ? LONG_TIME : this.clock.day(LONG_DAY_MS)], FONT) + APART_PIXELS;
  }

  #axisWidth(texts) {
    this.axisPixels = widthOf(texts, FONT) + AXIS_GAP_PIXELS;
    return (this.room.axis = Math.max(this.room.axis, this.axisPixels));
  }

  /** Whether the pale range of a line is shown: of more than two only that of the line at the cursor. */
  #showsRange(place) {
    return place === this.at || this.group.filter((series) => !isOff(series)).length <= MOST_RANGES;
  }

  #lookAt(place) {
    // A name that has the focus loses it when its chart is taken away.
    if (this.isGone || place === (this.at ?? null)) return;
    this.at = place;
    // Of many lines the one at the cursor has its range, the others step back.
    this.group.forEach((_, other) => {
      const width = place === null || this.#showsRange(other) ? WIDTH_PIXELS : THIN_PIXELS;
      for (const column of [columnOf(other), columnOf(other) + COLUMNS - 1]) this.chart.series[column].width = width;
    });
    this.chart.redraw(false, false);
  }

  /** The names of lines at their ends, and the words of layers, in the room beside the plot, none upon another. */
  label(chart) {
    const { ctx, over, bbox } = chart;
    const [width, height] = [over.clientWidth, over.clientHeight];
    const words = this.layers.flatMap((layer) => layer.labels?.(chart) ?? []);
    const labels = [...this.group.flatMap((series, place) => this.#end(chart, series, place)), ...words];
    this.names.replaceChildren(...labels.map(({ text, colour, end }) => make("span", { textContent: text, className: end ? "end" : "", style: `color: ${colour}` })));
    this.names.style.cssText = `left: ${over.offsetLeft + width + LEAD_PIXELS}px; top: ${over.offsetTop}px; width: ${this.side() - LEAD_PIXELS}px`;
    const elements = [...this.names.children];
    const heights = elements.map((element) => element.offsetHeight);
    // What has no room left is still in the legend.
    while (heights.reduce((sum, one) => sum + one, 0) > height) {
      heights.pop();
      elements.pop().remove();
      labels.pop();
    }
    spread(labels.map(({ y }) => y), heights, height).forEach((middle, i) => {
      elements[i].style.top = `${middle - heights[i] / 2}px`;
      if (labels[i].isAtEdge) lead(ctx, [bbox.left + bbox.width, bbox.top], [labels[i].y, middle], labels[i].colour);
    });
  }

  /** The label of a line, at its last value in sight; none for a line without any. */
  #end(chart, series, place) {
    const { min, max } = chart.scales.x;
    const [whole, part] = [columnOf(place), columnOf(place) + COLUMNS - 1].map((column) => chart.data[column]);
    const valueAt = (i) => whole[i] ?? part[i];
    const last = chart.data[0].findLastIndex((ms, i) => min <= ms && ms <= max && Number.isFinite(valueAt(i)));
    if (last < 0 || !isShown(chart, place)) return [];
    const y = Math.min(chart.over.clientHeight, Math.max(0, chart.valToPos(valueAt(last), "y")));
    const isAtEdge = chart.valToPos(chart.data[0][last], "x") > chart.over.clientWidth - LEAD_PIXELS;
    return [{ text: endNameOf(series, this.group), colour: this.styles[place].name, end: true, y, isAtEdge }];
  }

  /** The range of values on the axis. */
  values() {
    return roomy(this.ends() ?? [null, null]);
  }

  /** The range of the lines that are shown within the range of time, and what the layers have; null for none. */
  ends() {
    const [from, to] = this.range;
    const within = (series) => {
      const places = series.times_ms.flatMap((time, i) => (endOf(time, this.answer) >= from && time <= to ? [i] : []));
      return Object.fromEntries(["avg", "min", "max"].map((name) => [name, places.map((i) => series[name][i])]));
    };
    const lines = this.group.filter((series) => !isOff(series)).map((series) => limitsOf(within(series)));
    const ends = measured([...lines, ...this.layers.map((layer) => layer.range?.() ?? null)]).flat();
    return ends.length ? [least(ends), greatest(ends)] : null;
  }

  /** What lies beyond the edges of the chart. */
  #spikes(chart) {
    const { min, max } = chart.scales.y;
    const [from, to] = this.range;
    const all = this.group.flatMap((series, place) => {
      if (!isShown(chart, place)) return [];
      return beyond(series, [min, max]).map((one) => ({ ...one, ms: placeOf(series.times_ms[one.i], this.answer), colour: this.styles[place].colour }));
    });
    return all.filter(({ ms }) => from <= ms && ms <= to);
  }

  get isCut() {
    return this.group.some((series) => beyond(series, this.limits).length);
  }

  #point({ pointerType, clientY }) {
    Plot.read = this;
    this.isByKeys = false;
    this.isTouched = pointerType === "touch";
    this.mouseY = pointerType === "mouse" ? clientY : null;
  }

  /** After a finger come events of a mouse that there is not; a drag of it would join two taps to a range. With the
   * shift key a drag moves the range instead of choosing one. */
  #ofMouse = (_, __, handler) => (event) => (this.isTouched || (event.shiftKey && event.type === "mousedown") ? null : handler(event));

  /** The values at the cursor, beside it. */
  #showValues(chart) {
    const { idx, left } = chart.cursor;
    if (!(left >= 0) || idx === null || idx === undefined) {
      this.#lookAt(null);
      this.tell(null);
      return this.tooltip.hide();
    }
    const cursor = chart.posToVal(left, "x");
    const time = this.#timeAt(cursor, this.data[0][idx]);
    const shown = this.group.map((_, place) => place).filter((place) => isShown(chart, place));
    const past = this.layers.flatMap(({ pastAt, key }) => (pastAt?.(cursor) ?? []).map((one) => ({ ...one, range: "", style: key })));
    const lines = shown.map((place) => ({ ...this.#textOf(place, time), past: past.find(({ own }) => own === place) }));
    lines.push(...past.filter(({ own }) => own < 0));
    const isRead = Plot.read === this;
    this.tell(time);
    if (this.isSmall && !isRead) return this.tooltip.hide();
    this.#lookAt(isRead ? this.#nearest(shown, idx) : null);
    const texts = isRead ? this.layers.flatMap(({ textAt, key }) => (textAt?.(cursor)?.split("\n") ?? []).filter(Boolean).map((text) => ({ text, isPast: Boolean(key) }))) : [];
    const { left: edge, top, height } = chart.over.getBoundingClientRect();
    const place = { x: edge + left, y: (isRead && this.mouseY) || top + height / 2, isRead, isByKeys: this.isByKeys };
    this.tooltip.show({ at: isRead ? this.#when(shown, time) : "", lines: lines.filter(({ value, past }) => value || past), texts }, place);
    if (isRead) Plot.readMs = cursor;
  }

  /** Show the values at the cursor's time elsewhere, too; null for no cursor. A small one has a box only where it is read. */
  tell() {}
  isSmall = false;

  /** Which line is nearest to the mouse or finger, of keys the first. */
  #nearest(shown, idx) {
    const { top } = this.chart.cursor;
    const away = (place) => {
      const value = this.chart.data[columnOf(place)][idx] ?? this.chart.data[columnOf(place) + COLUMNS - 1][idx];
      return this.isByKeys || !Number.isFinite(value) ? Infinity : Math.abs(this.chart.valToPos(value, "y") - top);
    };
    return shown.reduce((best, place) => (away(place) < away(best) ? place : best), shown[0] ?? null);
  }

  /** The box beside the cursor goes where the page has scrolled the chart. */
  follow() {
    if (this.tooltip.isShown) this.#showValues(this.chart);
  }

  /** Take the cursor away. */
  leave() {
    if (this.tooltip.isShown) this.chart.setCursor({ left: -10, top: -10 });
  }

  /** The bucket nearest to the cursor, but inside a gap the cursor's own time. */
  #timeAt(cursor, nearest) {
    return Math.abs(cursor - nearest) <= this.answer.bucket_ms ? nearest : cursor;
  }

  /** A line of the box beside the cursor; without a value where there is nothing to tell. */
  #textOf(place, time) {
    const line = { style: this.styles[place], name: nameOf(this.group[place]), value: "", range: "" };
    const gap = this.gaps[place].find(([from, to]) => from <= time && time <= to);
    if (gap) return { ...line, value: this.#gap(gap) };
    const near = nearestTo(this.group[place], time, this.answer);
    return near === null ? line : { ...line, ...this.#bucketOf(place, near) };
  }

  #bucketOf(place, i) {
    const series = this.group[place];
    const [low, high] = [series.min[i], series.max[i]].map((one) => numberOf(one, this.unit));
    const about = [low === high ? "" : `${low}\u00a0–\u00a0${high}`, series.partial?.includes(i) ? t("incomplete") : ""];
    return { value: textOf(series.avg[i], this.unit), range: Plot.read === this ? about.filter(Boolean).join(" · ") : "" };
  }

  /** The time of the bucket at the cursor, or the time itself where no line has one. */
  #when(shown, time) {
    for (const place of shown) {
      const near = nearestTo(this.group[place], time, this.answer);
      if (near !== null && placeOf(this.group[place].times_ms[near], this.answer) === time) return this.#bucket(place, near);
    }
    return this.clock.moment(time);
  }

  #bucket(place, i) {
    const start = this.group[place].times_ms[i];
    return this.clock.bucket(start, endOf(start, this.answer));
  }

  #select(chart) {
    const { left, width } = chart.select;
    if (width < 4) return;
    const [from, to] = [left, left + width].map((x) => chart.posToVal(x, "x"));
    chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    // The other charts get the same drag, and report it again.
    if (Plot.zooming) return;
    Plot.zooming = true;
    setTimeout(() => (Plot.zooming = false));
    this.onZoom(from, to);
  }

  /** The arrow keys move the cursor, Escape takes it away. */
  #step(event) {
    if (event.key === "Escape") return this.leave();
    const move = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 }[event.key];
    if (!move) return;
    event.preventDefault();
    const last = this.data[0].length - 1;
    const idx = Math.min(last, Math.max(0, (this.chart.cursor.idx ?? last) + move));
    this.isByKeys = true;
    this.mouseY = null;
    Plot.read = this;
    this.chart.setCursor({ left: this.chart.valToPos(this.data[0][idx], "x"), top: 10 });
  }
}

/** What a chart of these lines is called: `Temperature (°C)`. */
export function titleText([{ quantity, unit }]) {
  const name = quantityName(quantity);
  return unit ? t("{name} ({unit})", { name, unit }) : name;
}

/** The same, its unit small. */
export function titleOf(group) {
  const [, name, unit] = titleText(group).match(/^(.*?)(\s?[(（][^(（]*)?$/);
  const title = make("strong", { textContent: name });
  title.append(make("small", { textContent: unit ?? "" }));
  return title;
}

/** The columns of a line; only the averages are drawn as lines, those of buckets that are not whole pale. */
function columns({ colour, dash, pale }) {
  const isolated = (chart, place, show) => (show ? null : lonely(chart.data[place]));
  // Between two buckets that are not whole, one that is has pale lines to both.
  const alone = (chart, place, show) => isolated(chart, place, show)?.filter((i) => typeof chart.data[place + COLUMNS - 1][i] !== "number") ?? null;
  const average = (stroke, filter) => ({ stroke, width: WIDTH_PIXELS, dash, points: { show: false, size: 5, fill: stroke, filter } });
  const edge = { stroke: "transparent", width: 0, points: { show: false } };
  return [average(colour, alone), edge, edge, average(pale, isolated)];
}

/** The range of time; a single reading has none, and needs some width to be seen in. */
function wideOf({ from_ms: from, to_ms: to, bucket_ms: bucket }) {
  return from < to ? [from, to] : [from - bucket, to + bucket];
}

/** Some room above and below, so that no line runs along the edge. */
function roomy([low, high]) {
  if (low === null || high === null) return [0, 1];
  const margin = (high - low) * 0.08 || Math.abs(high) * 0.02 || 1;
  return [low - margin, high + margin];
}

/** What is not a line of the chart's own, in the legend. */
export function keyOf(key) {
  const item = make("li", { className: "key" });
  item.append(signOf(key, SIGN_WIDTH), make("span", { textContent: key.name, title: key.name }));
  return item;
}

/** A short line from the end of a line of the chart to its name; places in pixels, the corner in those of the canvas. */
function lead(ctx, [left, top], [from, to], colour) {
  const [ratio, length] = [devicePixelRatio, LEAD_PIXELS - 3];
  ctx.save();
  Object.assign(ctx, { strokeStyle: colour, lineWidth: ratio });
  ctx.beginPath();
  ctx.moveTo(left, top + from * ratio);
  ctx.lineTo(left + length * ratio, top + to * ratio);
  ctx.stroke();
  ctx.restore();
}

const pen = document.createElement("canvas").getContext("2d");

/** How wide the longest of the texts is, in whole pixels. */
export function widthOf(texts, font) {
  pen.font = font;
  return Math.ceil(Math.max(0, ...texts.map((text) => pen.measureText(text).width)));
}

export function make(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}
