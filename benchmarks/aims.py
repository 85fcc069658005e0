"""What is measured against what: the lines of the table of aims, and what the runs say of each."""

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.results import Run, Spread, spread

TABLES: dict[str, list[dict[str, Any]]] = tomllib.loads(
    Path(__file__).with_name("tables.toml").read_text(encoding="utf-8")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One value of one row and its aim; tables.toml says what each field means."""

    row: str
    value: str
    en: str
    ja: str
    kind: Literal["at most", "at least"]
    limit: float
    of_floor: bool = False
    of_value: str = ""
    side: str = "ours"
    old_server: str = ""
    worst: bool = False
    only: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A line, measured."""

    ours: Spread
    floor: Spread | None
    compared: float
    """What the aim limits: ours, or how many times what it is measured against."""
    missed_by: float
    """0 when it is met; else as a part of the limit; where that is 0, what there is too much."""


LINES = tuple(Line(**line) for line in TABLES["aims"])


def outcome(line: Line, runs: Sequence[Run]) -> Outcome | None:
    """What the runs say about the line; None when there are none that count."""
    mine = _of_side(line, runs, line.side)
    floor = _of_side(line, runs, "floor")
    numbers = sorted(number for number in mine if not line.of_floor or number in floor)
    if not numbers:
        return None
    values = [mine[number][line.value] for number in numbers]
    # Each run against its neighbour, so that what drifts over minutes falls out.
    divisors = [1.0] * len(values)
    if line.of_floor:
        divisors = [floor[number][line.value] for number in numbers]
    elif line.of_value:
        divisors = [mine[number][line.of_value] for number in numbers]
    ratios = spread([value / divisor for value, divisor in zip(values, divisors, strict=True)])
    compared = ratios.median
    if line.worst:
        compared = ratios.most if line.kind == "at most" else ratios.least
    floors = [values[line.value] for values in floor.values()]
    return Outcome(
        spread(values), spread(floors) if floors else None, compared, _missed_by(line, compared)
    )


def _of_side(line: Line, runs: Sequence[Run], side: str) -> dict[int, dict[str, float]]:
    return {
        run.round: run.values
        for run in runs
        # What was once measured in another way does not count.
        if (run.row, run.side) == (line.row, side) and line.value in run.values
        if not line.only or run.values.get(line.only)
    }


def _missed_by(line: Line, compared: float) -> float:
    if math.isnan(compared):
        return math.inf
    over = compared - line.limit if line.kind == "at most" else line.limit - compared
    if over <= 0:
        return 0.0
    return over / line.limit if line.limit else over
