"""The scale of a chart follows its averages, and what lies far beyond is marked."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.browser.chromium import Browser

pytestmark = pytest.mark.tools

LIMITS = "import('/static/scale.js').then(({ limitsOf }) => arguments[0].map(limitsOf))"
DAY_MS = 86_400_000
HOURS = 24


def line(
    avg: Sequence[float], low: Sequence[float] | None = None, high: Sequence[float] | None = None
) -> Any:
    return {"avg": avg, "min": low or avg, "max": high or avg}


def changed(values: Sequence[float], at: int, value: float, length: int = 1) -> list[float]:
    return [*values[:at], *[value] * length, *values[at + length :]]


def test_the_scale_leaves_out_single_spikes_and_nothing_else(browser: Browser) -> None:
    browser.open("/")
    wave = [20 + hour % 5 for hour in range(HOURS)]
    pressure = [1013 + hour % 3 * 0.5 for hour in range(HOURS)]
    lines = [
        line(wave),
        # The value that a DS18B20 has after it was switched on: alone, and among good ones.
        line(changed(wave, 9, 85.0)),
        line(wave, high=changed(wave, 9, 85.0)),
        line(changed(pressure, 9, 0.0)),
        # A room that is aired changes further, and for longer.
        line(changed(wave, 9, 85.0, length=3)),
        # A sensor of whole degrees.
        line(changed([21.0] * HOURS, 9, 22.0)),
        line([20.0, 85.0]),
        line(changed([*wave], 9, 24.5)),
    ]
    found = browser.promise(LIMITS, lines)
    assert found[0] == found[1] == found[2] == [20, 24]
    assert found[3] == [1013, 1014]
    assert found[4] == [20, 85]
    assert found[5] == [21, 22]
    assert found[6] == [20, 85]
    assert found[7] == [20, 24.5]


def test_a_line_without_values_has_no_limits(browser: Browser) -> None:
    browser.open("/")
    empty: list[float] = []
    nothing = {"avg": [None], "min": [None], "max": [None]}
    assert browser.promise(LIMITS, [line(empty), nothing]) == [None, None]


ANSWER: dict[str, Any] = {
    "zone": "Asia/Tokyo",
    "bucket_ms": DAY_MS,
    "from_ms": 0,
    "to_ms": 20 * DAY_MS,
    "readings": 1,
    "series": [
        {
            "endpoint": "data2",
            "measurement": "temperature",
            "quantity": "temperature",
            "unit": "°C",
            "gap_ms": 10 * DAY_MS,
            "gaps": [],
            "times_ms": [day * DAY_MS for day in range(20)],
            "avg": [20 + day % 5 for day in range(20)],
            "min": [20 + day % 5 for day in range(20)],
            "max": [20 + day % 5 if day != 10 else 85 for day in range(20)],
            "partial": [19],
        }
    ],
}
DRAWN = """
Promise.all(["plot", "clock", "colours"].map((name) => import(`/static/${name}.js`))).then(async ([{ Plot }, { Clock }, { stylesOf }]) => {
  const answer = arguments[0];
  const context = { clock: new Clock(answer.zone), nowMs: answer.to_ms, isFiltered: true, styles: stylesOf(answer.series) };
  const plot = new Plot(answer.series, answer, context, [], () => {});
  document.getElementById("plots").append(plot.figure);
  const written = [];
  const { fillText } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
    written.push(text);
    return fillText.call(this, text, ...place);
  };
  plot.draw();
  await new Promise(requestAnimationFrame);
  CanvasRenderingContext2D.prototype.fillText = fillText;
  plot.box.focus();
  plot.box.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
  const alone = plot.chart.series[1].points.filter(plot.chart, 1, false);
  return [plot.chart.scales.y.max, written, plot.box.ariaLabel, plot.tooltip.box.innerText, alone];
})
"""  # noqa: E501


def test_what_lies_beyond_is_marked_and_described(browser: Browser) -> None:
    browser.open("/history?from=-24h&measurement=co2", charts=1)
    highest, written, summary, told, _ = browser.promise(DRAWN, ANSWER)
    assert 24 < highest < 30
    assert written.count("85.0°C") == 1
    assert "off the scale: 85.0°C (Sun 11 Jan 1970 – Mon 12 Jan 1970)" in summary
    # The last day has not ended.
    assert "incomplete" in told and "24.0°C" in told


def test_a_bucket_that_is_not_whole_has_a_line_of_its_own(browser: Browser) -> None:
    browser.open("/")
    script = "import('/static/lines.js').then((lines) => lines.withGaps(...arguments[0]))"
    answer = {"bucket_ms": 60, "from_ms": 0, "to_ms": 300}
    times = [0, 60, 120, 180]
    values = [1, 2, 3, 4]
    series = {"times_ms": times, "partial": [3]} | line(list(values)) | {"gaps": []}
    _, whole, _, _, pale = browser.promise(script, [series, answer])
    assert whole == [1, 2, 3, None]
    # From the last whole one on, so that it is joined.
    assert pale == [None, None, 3, 4]


def test_buckets_end_where_the_next_begin(browser: Browser) -> None:
    browser.open("/")
    # A day of 23 hours, and the last.
    hour = 3_600_000
    answer = {"bucket_ms": 24 * hour, "starts_ms": [0, 23 * hour, 47 * hour]}
    script = "import('/static/lines.js').then(({ endOf }) => arguments[1].map((ms) => endOf(ms, arguments[0])))"  # noqa: E501
    assert browser.promise(script, answer, [0, 23 * hour]) == [23 * hour, 47 * hour]
    plain = {"bucket_ms": 60, "starts_ms": None}
    assert browser.promise(script, plain, [0, 60]) == [60, 120]


def test_the_time_of_a_bucket_is_shown_from_its_start_to_its_end(browser: Browser) -> None:
    browser.open("/")
    script = (
        "import('/static/clock.js').then(({ Clock }) =>"
        " arguments[0].map(([from, to]) => new Clock('Asia/Tokyo').bucket(from, to)))"
    )
    day, midnight = DAY_MS, 15 * 3_600_000
    asked = [
        [midnight, midnight + 300_000],
        [midnight, midnight + day],
        [midnight, midnight + 7 * day],
        [midnight, midnight + 5000],
    ]
    assert browser.promise(script, asked) == [
        "Fri 2 Jan 1970, 00:00 – 00:05",
        "Fri 2 Jan 1970",
        "Fri 2 Jan 1970 – Thu 8 Jan 1970",
        "Fri 2 Jan 1970, 00:00:00",
    ]


def test_a_bucket_between_two_that_are_not_whole_is_no_lone_point(browser: Browser) -> None:
    browser.open("/history?from=-24h&measurement=co2", charts=1)
    series = ANSWER["series"][0] | {"partial": [4, 6]}
    *_, alone = browser.promise(DRAWN, ANSWER | {"series": [series]})
    assert alone == []
