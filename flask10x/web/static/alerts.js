// When something was wrong: shaded in the chart of what it was about, and shown beside the cursor.

import { colourOf } from "./colours.js";
import { t } from "./texts.js";

const BAR_PIXELS = 3;
// A longer summary would be too long to listen to.
const MOST_LISTED = 3;

/** The layer of the alerts of a chart; null where it has none. */
export function alertsLayer(group, answer, { clock, nowMs }) {
  const alerts = alertsOf(group, answer, nowMs);
  if (!alerts.length) return null;
  const textOf = ({ title, from_ms: from, to_ms: to }) => t("alert: {title} ({span})", { title, span: clock.span(from, to) });
  const colour = colourOf("--warn");
  return {
    under: (chart) => shade(chart, alerts, colour),
    textAt: (ms) => {
      const alert = alertAt(alerts, ms);
      return alert ? textOf(alert) : "";
    },
    says: t("Shaded: an alert was active."),
    summary: alerts.slice(-MOST_LISTED).map(textOf).join("; "),
  };
}

/** The alerts of these series, or of their stations, within the range; those that are active last until `nowMs`. */
export function alertsOf(group, answer, nowMs) {
  const isMine = ({ endpoint, measurement }) =>
    group.some((series) => series.endpoint === endpoint && (measurement === null || series.measurement === measurement));
  return (answer.alerts ?? []).filter(isMine).map((alert) => ({ ...alert, to_ms: alert.to_ms ?? Math.min(nowMs, answer.to_ms) }));
}

/** The one that was active at this time; of several the last. */
export const alertAt = (alerts, ms) => alerts.filter((alert) => alert.from_ms <= ms && ms <= alert.to_ms).at(-1);

/** Shade the alerts over the whole height, behind the lines, with a bar at the top: a span is at least as wide as it. */
export function shade(chart, alerts, colour) {
  const { ctx, bbox } = chart;
  const bar = BAR_PIXELS * devicePixelRatio;
  const place = (ms) => Math.min(bbox.left + bbox.width, Math.max(bbox.left, chart.valToPos(ms, "x", true)));
  ctx.save();
  ctx.fillStyle = colour;
  // Each in one path, so that alerts at the same time are no darker.
  for (const [alpha, height] of [[0.1, bbox.height], [1, bar]]) {
    ctx.globalAlpha = alpha;
    ctx.beginPath();
    for (const { from_ms: fromMs, to_ms: toMs } of alerts) {
      const left = place(fromMs);
      ctx.rect(left, bbox.top, Math.max(bar, place(toMs) - left), height);
    }
    ctx.fill();
  }
  ctx.restore();
}
