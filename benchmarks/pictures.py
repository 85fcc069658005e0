"""The pictures of docs/{en,ja}/explanation/performance.md, in English only, as SVG."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from benchmarks import results
from benchmarks.aims import TABLES
from benchmarks.results import Run, spread

FOLDER = results.PROJECT / "docs" / "pictures" / "performance"
SIZE_INCHES = (8.0, 3.6)
GREY, BLUE, ORANGE = "#8a8f98", "#1f6feb", "#d9730d"
COST_ROWS = {
    "kept": "enqueued,\n4 kept",
    "closing": "enqueued,\na connection each",
    "committed-16": "committed,\n16 kept",
    "committed-4": "committed,\n4 kept",
}
GROWING = {
    "commit_p50_ms": "a commit",
    "page_ms": "newest page",
    "rare_page_ms": "rare filter",
    "day_chart_ms": "chart of a day",
    "all_chart_ms": "chart of all",
    "filter_chart_ms": "chart of all with a filter",
}
# The same figures give the same file.
STEADY: dict[Any, Any] = {"svg.hashsalt": "flask10x", "svg.fonttype": "path"}
NO_DATE = {"Date": None}


def write(runs: Sequence[Run], folder: Path = FOLDER) -> list[Path]:
    """Draw what there are figures for; the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in (("cost", _cost), ("beside", _beside), ("growth", _growth)):
        with rc_context(STEADY):
            figure = Figure(figsize=SIZE_INCHES, layout="constrained")
            if draw(runs, figure.subplots()):
                path = folder / f"{name}.svg"
                figure.savefig(path, metadata=NO_DATE)
                written.append(path)
    return written


def _values(runs: Sequence[Run], row: str, side: str, value: str) -> list[float]:
    return [run.values[value] for run in runs if (run.row, run.side) == (row, side)]


def _cost(runs: Sequence[Run], axes: Any) -> bool:
    """Bars of the medians, a dot for each run."""
    rows = [row for row in COST_ROWS if _values(runs, row, "ours", "cpu_s_per_1000")]
    for place, row in enumerate(rows):
        for side, shift, colour in (("floor", -0.2, GREY), ("ours", 0.2, BLUE)):
            found = _values(runs, row, side, "cpu_s_per_1000")
            if found:
                label = side if place == 0 else None
                axes.bar(place + shift, spread(found).median, 0.36, color=colour, label=label)
                axes.plot([place + shift] * len(found), found, ".", color="black", markersize=4)
    axes.set_xticks(range(len(rows)), [COST_ROWS[row] for row in rows])
    axes.set_ylabel("CPU s for 1,000 readings")
    if rows:
        axes.legend(frameon=False)
    return bool(rows)


def _beside(runs: Sequence[Run], axes: Any) -> bool:
    """Each activity a line of three dots: p50, p99, slowest."""
    labels: list[str] = []
    for line in TABLES["beside"]:
        found = {
            v: _values(runs, line["row"], line["side"], v) for v in ("p50_ms", "p99_ms", "max_ms")
        }
        if not found["p50_ms"]:
            continue
        place = -len(labels)
        middles = [spread(found[name]).median for name in ("p50_ms", "p99_ms")]
        dots = (*middles, max(found["max_ms"]))
        axes.plot(dots, [place] * 3, "-", color=GREY, linewidth=1)
        for dot, colour, label in zip(
            dots, (GREY, BLUE, ORANGE), ("p50", "p99", "slowest of all runs"), strict=True
        ):
            axes.plot(dot, place, "o", color=colour, label=label if place == 0 else None)
        labels.append(line["en"].replace("`", ""))
    axes.set_yticks([-place for place in range(len(labels))], labels)
    axes.set_xscale("log")
    axes.set_xlabel("ms until a reading is answered (80 a second)")
    if labels:
        axes.legend(frameon=False, loc="best")
    return bool(labels)


def _growth(runs: Sequence[Run], axes: Any) -> bool:
    """Lines over the number of readings, both axes in powers of ten."""
    found = sorted((int(run.side), run.values) for run in runs if run.row == "growth")
    for value, label in GROWING.items():
        points = [(size, values[value]) for size, values in found if value in values]
        if points:
            axes.plot(*zip(*points, strict=True), "o-", label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("readings stored")
    axes.set_ylabel("ms")
    if found:
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return bool(found)
