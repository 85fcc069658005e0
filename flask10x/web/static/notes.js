// Notes of people and corrections: marked in the charts, shown beside the cursor.

import { colourOf } from "./colours.js";
import { t } from "./texts.js";

const DOT_PIXELS = 4;
const BAR_PIXELS = 3;
// A cursor within a hundredth of the chart is at the note.
const NEAR = 100;
const MOST_TOLD = 3;

/** The layer of the notes and corrections of a chart; null where it has none. */
export function notesLayer(group, answer) {
  const notes = (answer.notes ?? []).filter(({ endpoint }) => endpoint === null || group.some((series) => series.endpoint === endpoint));
  const corrections = answer.corrections ? correctionsOf(group, answer) : [];
  if (!notes.length && !corrections.length) return null;
  const near = (answer.to_ms - answer.from_ms) / NEAR;
  const colours = { note: colourOf("--series-4"), correction: colourOf("--quiet") };
  return {
    under: (chart) => draw(chart, notes, corrections, colours),
    textAt: (ms) =>
      [
        ...notes.filter((one) => one.from_ms - near <= ms && ms <= one.to_ms + near).map(noteText),
        ...corrections.filter((one) => one.from_ms <= ms && ms <= one.to_ms).map(correctionText),
      ]
        .slice(0, MOST_TOLD)
        .join("\n"),
    says: notes.length ? t("A line with a dot is a note.") : "",
    summary: notes.slice(-MOST_TOLD).map(noteText).join("; "),
  };
}

/** Those of these series, with open ends closed by the range. */
export function correctionsOf(group, answer) {
  const isMine = ({ endpoint, measurement }) =>
    group.some((series) => series.endpoint === endpoint && (measurement === null || measurement === series.measurement));
  return answer.corrections.filter(isMine).map((one) => ({ ...one, from_ms: one.from_ms ?? answer.from_ms, to_ms: one.to_ms ?? answer.to_ms }));
}

const noteText = ({ text }) => t("Note: {text}", { text });
const correctionText = ({ change, text }) => {
  const withReason = text ? `${change} (${text})` : change;
  return t("Corrected: {change}", { change: withReason });
};

/** A line with a dot at each note, a pale strip where it lasts; a bar at the foot of what is corrected. */
function draw(chart, notes, corrections, colours) {
  const { ctx, bbox } = chart;
  const place = (ms) => Math.min(bbox.left + bbox.width, Math.max(bbox.left, chart.valToPos(ms, "x", true)));
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.fillStyle = colours.correction;
  for (const { from_ms: fromMs, to_ms: toMs } of corrections) {
    const left = place(fromMs);
    const bar = BAR_PIXELS * ratio;
    ctx.fillRect(left, bbox.top + bbox.height - bar, Math.max(bar, place(toMs) - left), bar);
  }
  ctx.fillStyle = colours.note;
  for (const { from_ms: fromMs, to_ms: toMs } of notes) {
    const left = place(fromMs);
    ctx.globalAlpha = 0.12;
    ctx.fillRect(left, bbox.top, place(toMs) - left, bbox.height);
    ctx.globalAlpha = 0.6;
    ctx.fillRect(left, bbox.top, ratio, bbox.height);
    ctx.globalAlpha = 1;
    ctx.beginPath();
    ctx.arc(left, bbox.top + DOT_PIXELS * ratio, DOT_PIXELS * ratio, 0, 2 * Math.PI);
    ctx.fill();
  }
  ctx.restore();
}
