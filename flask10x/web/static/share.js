// What the panels of the bar have more with a script: pickers of times, a month to download, pictures of the charts.
// Loaded when one of them is opened.

import { colourOf } from "./colours.js";
import * as forms from "./forms.js";

const language = document.documentElement.lang;
const FONT = "system-ui, sans-serif";
// In pixels of the window.
const EDGE = 24;
const HEAD_HIGH = 52;
const TITLE_HIGH = 26;
const BETWEEN = 18;
const SIGN_WIDTH = 26;

forms.leaveOutEmpty();

/** Fill the panel that was opened; it is another one after each step to another view. */
export function fill(panel) {
  forms.addPickers();
  if (panel.matches(".downloads")) offerMonths(panel);
  if (panel.matches(".share")) offerPictures(panel);
}

/** The months of the choice of days: one of them is that of the files below. */
function offerMonths(panel) {
  const row = panel.querySelector("#month");
  if (!row || panel.querySelector(".months")) return;
  const last = [...panel.querySelectorAll(".files")].at(-1);
  for (const months of [...document.querySelectorAll(".when .months")].reverse()) {
    const copy = months.cloneNode(true);
    last.after(copy);
    for (const link of copy.querySelectorAll("a")) {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", className: "quiet", textContent: link.textContent, ariaPressed: "false" });
      button.addEventListener("click", () => choose(panel, row, button, new URL(link.href).searchParams));
      link.replaceWith(button);
    }
  }
}

function choose(panel, row, button, ends) {
  for (const one of panel.querySelectorAll(".months button")) one.ariaPressed = String(one === button);
  const [year, month] = ends.get("from").split("-");
  const name = new Intl.DateTimeFormat(language, { year: "numeric", month: "short" }).format(new Date(year, month - 1));
  row.querySelector("span").textContent = row.ariaLabel = name;
  for (const link of row.querySelectorAll("a")) {
    const url = new URL(link.href);
    for (const end of ["from", "to"]) url.searchParams.set(end, ends.get(end));
    link.href = url;
  }
}

/** Those that are seen, not those that are folded. */
const charts = () => [...document.querySelectorAll(".chart")].filter((chart) => chart.querySelector("canvas")?.clientWidth && !chart.closest("details:not([open])"));
const titleOf = (chart) => chart.querySelector("figcaption strong").textContent;

/** The title, and the lines where a chart before has the same. */
function nameOf(chart, all) {
  const title = titleOf(chart);
  const isFirst = all.find((other) => titleOf(other) === title) === chart;
  return isFirst ? title : `${title} ${[...chart.querySelectorAll(".keys button")].map((key) => key.textContent.trim()).join(", ")}`;
}

/** A button for all charts together, and one for each. */
function offerPictures(panel) {
  const row = panel.querySelector("#pictures");
  const all = charts();
  row.hidden = !all.length;
  const [first, ...others] = row.querySelectorAll("button");
  for (const old of others) old.remove();
  first.onclick = () => save(charts(), "charts");
  if (all.length < 2) return;
  for (const chart of all) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "quiet", textContent: nameOf(chart, all) });
    button.addEventListener("click", () => save([chart], button.textContent));
    row.append(" ", button);
  }
}

async function save(chosen, name) {
  if (!chosen.length) return;
  const blob = await new Promise((resolve) => drawn(chosen).toBlob(resolve, "image/png"));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${name} ${period()}.png`.replace(/[\\/:*?"<>|\s]+/g, "_");
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const period = () => document.getElementById("pictures").dataset.period;

/** The charts below each other, each with its title and its lines; above them the time that they show. */
function drawn(chosen) {
  const ratio = devicePixelRatio;
  const sizes = chosen.map(plotsBox);
  const width = Math.max(...sizes.map((size) => size.width)) + 2 * EDGE;
  const keys = chosen.map((chart) => linesOf(chart, width));
  const heights = sizes.map((size, i) => TITLE_HIGH * (1 + keys[i].length) + size.height + BETWEEN);
  const picture = document.createElement("canvas");
  Object.assign(picture, { width: Math.round(width * ratio), height: Math.round((EDGE + HEAD_HIGH + heights.reduce((a, b) => a + b)) * ratio) });
  const pen = picture.getContext("2d");
  pen.scale(ratio, ratio);
  const [text, quiet, ground] = ["--text", "--quiet", "--card"].map(colourOf);
  pen.fillStyle = ground;
  pen.fillRect(0, 0, width, picture.height);
  pen.textBaseline = "middle";
  write(pen, period(), EDGE, EDGE + 8, `600 17px ${FONT}`, text);
  const stations = [...document.querySelectorAll("#conditions .chips a:not(.all)")].map((chip) => chip.firstChild.textContent.trim());
  write(pen, [...stations, location.host].join(" · "), EDGE, EDGE + 30, `13px ${FONT}`, quiet);
  let top = EDGE + HEAD_HIGH;
  chosen.forEach((chart, i) => {
    write(pen, titleOf(chart), EDGE, top + 10, `600 15px ${FONT}`, text);
    keys[i].forEach((row, line) => {
      for (const { x, name, stroke, dash } of row) {
        const y = top + TITLE_HIGH * (line + 1) + 8;
        sign(pen, x, y, stroke, dash);
        write(pen, name, x + SIGN_WIDTH + 6, y, `13px ${FONT}`, text);
      }
    });
    const under = top + TITLE_HIGH * (1 + keys[i].length);
    const corner = sizes[i];
    for (const canvas of chart.querySelectorAll("canvas")) {
      const place = canvas.getBoundingClientRect();
      if (place.width) pen.drawImage(canvas, EDGE + place.left - corner.left, under + place.top - corner.top, place.width, place.height);
    }
    // The words at the ends of lines and bands lie beside the canvas, the names of panels above.
    for (const word of chart.querySelectorAll(".names span, .pane button span")) {
      const { left, top: high, width: wide, height } = word.getBoundingClientRect();
      const { color, fontWeight, fontSize } = getComputedStyle(word);
      pen.font = `${fontWeight} ${fontSize} ${FONT}`;
      pen.fillStyle = color;
      pen.fillText(word.textContent, EDGE + left - corner.left, under + high - corner.top + height / 2, wide);
    }
    top += heights[i];
  });
  return picture;
}

/** Where the plot of a chart lies, or all its panels. */
function plotsBox(chart) {
  const boxes = [...chart.querySelectorAll(".pane, .chart:not(.panels) canvas")].map((one) => one.getBoundingClientRect());
  const [left, top] = ["left", "top"].map((side) => Math.min(...boxes.map((one) => one[side])));
  const [right, bottom] = ["right", "bottom"].map((side) => Math.max(...boxes.map((one) => one[side])));
  return new DOMRect(left, top, right - left, bottom - top);
}

/** The lines that are shown, in rows of a legend: `{ x, name, stroke, dash }`. */
function linesOf(chart, width) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `13px ${FONT}`;
  const rows = [];
  let x = Infinity;
  for (const key of chart.querySelectorAll("figcaption .keys li:not(:has([aria-pressed=false]))")) {
    const name = key.textContent.trim();
    const line = key.querySelector("line");
    const wide = SIGN_WIDTH + 6 + pen.measureText(name).width + 20;
    if (x + wide > width - EDGE) {
      rows.push([]);
      x = EDGE;
    }
    rows.at(-1).push({ x, name, stroke: line?.getAttribute("stroke") ?? "", dash: line?.getAttribute("stroke-dasharray") ?? "" });
    x += wide;
  }
  return rows;
}

function sign(pen, x, y, stroke, dash) {
  pen.save();
  pen.strokeStyle = stroke;
  pen.lineWidth = 2.5;
  pen.setLineDash(dash.split(/[ ,]+/).filter(Boolean).map(Number));
  pen.beginPath();
  pen.moveTo(x, y);
  pen.lineTo(x + SIGN_WIDTH, y);
  pen.stroke();
  pen.restore();
}

function write(pen, text, x, y, font, colour) {
  pen.font = font;
  pen.fillStyle = colour;
  pen.fillText(text, x, y);
}
