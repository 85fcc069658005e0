"""What is measured against what: the lines of the table, in its order."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.bench.results import Run, Spread, spread

Kind = Literal["at most", "at least"]


@dataclass(frozen=True, slots=True)
class Aim:
    """A limit: a number, or that many times something that was measured in the same round."""

    kind: Kind
    limit: float
    of_floor: bool = False
    """Times the same value of the floor."""
    of_value: str = ""
    """Times another value of the same run."""


@dataclass(frozen=True, slots=True)
class Line:
    """One value of one row, in English and Japanese."""

    row: str
    value: str
    texts: tuple[str, str]
    aim: Aim
    side: str = "ours"
    old_server: str = ""
    """What the old server was measured with, when that was done."""
    worst: bool = False
    """Its worst run counts, not the median: for the slowest answer and for what was refused."""
    only: str = ""
    """Only runs count in which this value is not 0."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A line, measured."""

    ours: Spread
    floor: Spread | None
    compared: float
    """What the aim limits: ours, or how many times what it is measured against."""
    runs: int
    is_met: bool
    missed_by: float
    """As a part of the limit; where that is 0, what there is too much."""


# Far from the 3 to 5 s after which a sender gives up.
ANSWER_MS, LATEST_MS = 50.0, 200.0


def _lines() -> tuple[Line, ...]:
    def at_most(limit: float, *, of_floor: bool = False, of_value: str = "") -> Aim:
        return Aim("at most", limit, of_floor, of_value)

    def at_least(limit: float, *, of_floor: bool = False) -> Aim:
        return Aim("at least", limit, of_floor)

    lines = [
        Line(
            "kept", "cpu_s_per_1000",
            (
                "CPU s for 1,000 POSTs, 4 connections kept",
                "POST 1,000 件の CPU 秒、接続 4 本を維持",
            ),
            at_most(1.0, of_floor=True), old_server="1.05",
        ),
        Line(
            "closing", "cpu_s_per_1000",
            ("the same, a connection for each POST", "同上、POST ごとに新しい接続"),
            at_most(1.1, of_floor=True), old_server="1.32",
        ),
        Line(
            "kept", "per_sec",
            ("accepted/s, 4 connections, both workers busy", "受理数/秒、接続 4 本、両ワーカ稼働"),
            at_least(1.0, of_floor=True), old_server="1,690", only="both_busy",
        ),
    ]  # fmt: skip
    for connections, share, p99_ms in ((16, 0.7, 40), (4, 0.6, 20)):
        row = f"committed-{connections}"
        english, japanese = (
            f"`ACK=committed`, {connections} connections: ",
            f"`ACK=committed`、接続 {connections} 本: ",
        )
        lines += [
            Line(
                row, "per_sec", (f"{english}accepted/s", f"{japanese}受理数/秒"),
                at_least(share, of_floor=True), only="both_busy",
            ),
            Line(row, "p99_ms", (f"{english}p99, ms", f"{japanese}p99、ms"), at_most(p99_ms)),
        ]  # fmt: skip
    slow = ("`ACK=committed`, 16 connections, each sync 20 ms slower: ",
            "`ACK=committed`、接続 16 本、同期が毎回 20 ms 遅い: ")  # fmt: skip
    lines += [
        Line(
            "committed-slow", "per_sec", (f"{slow[0]}accepted/s", f"{slow[1]}受理数/秒"),
            at_least(300),
        ),
        Line(
            "committed-slow", "p99_ms", (f"{slow[0]}p99, ms", f"{slow[1]}p99、ms"),
            at_most(4.0, of_value="commit_ms"),
        ),
        Line(
            "committed-slow", "refused", (f"{slow[0]}refused", f"{slow[1]}拒否"),
            at_most(0), worst=True,
        ),
    ]  # fmt: skip
    for ms in (5, 20):
        english = f"2,000/s offered, each sync {ms} ms slower: refused"
        japanese = f"毎秒 2,000 件、同期が毎回 {ms} ms 遅い: 拒否"
        lines.append(
            Line("enqueued-slow", "refused", (english, japanese), at_most(0), f"{ms} ms",
                 old_server="54 %", worst=True, only="kept_pace")
        )  # fmt: skip
    people = {
        "filter-4": (
            "80 POSTs/s beside 4 people, charts with a filter, 11 M rows: ",
            "毎秒 80 件の POST、条件付きグラフを 4 人が閲覧、1,100 万行: ",
        ),
        "charts-8": (
            "the same beside 8 people, charts without: ",
            "同上、条件なしのグラフを 8 人: ",
        ),
        "charts-8-behind": (
            "the same, roll-ups not made yet: ",
            "同上、ロールアップ作成前: ",
        ),
    }
    for row, (english, japanese) in people.items():
        lines += [
            Line(row, "p99_ms", (f"{english}p99, ms", f"{japanese}p99、ms"), at_most(ANSWER_MS)),
            Line(
                row, "max_ms", (f"{english}slowest, ms", f"{japanese}最長、ms"),
                at_most(LATEST_MS), worst=True,
            ),
        ]  # fmt: skip
    lines.append(
        Line(
            "memory", "memory_mb",
            ("memory of master and two workers, MB", "マスタとワーカ 2 つのメモリ、MB"),
            at_most(1.15, of_floor=True), old_server="64",
        )
    )  # fmt: skip
    return tuple(lines)


LINES = _lines()


def outcome(line: Line, runs: Sequence[Run]) -> Outcome | None:
    """What the runs say about the line; None when there are none that count."""
    mine = _of_side(line, runs, line.side)
    floor = _of_side(line, runs, "floor")
    against = line.aim
    numbers = {number for number in mine if not against.of_floor or number in floor}
    if not numbers:
        return None
    values = [mine[number].values[line.value] for number in sorted(numbers)]
    if against.of_floor:
        # Each run against its neighbour, so that what drifts over minutes falls out.
        each = [
            mine[number].values[line.value] / floor[number].values[line.value]
            for number in sorted(numbers)
        ]
    elif against.of_value:
        each = [
            mine[number].values[line.value] / mine[number].values[against.of_value]
            for number in sorted(numbers)
        ]
    else:
        each = values
    found = spread(each)
    compared = found.median
    if line.worst:
        compared = found.most if against.kind == "at most" else found.least
    floors = [run.values[line.value] for run in floor.values()]
    missed = _missed(against, compared)
    return Outcome(
        ours=spread(values),
        floor=spread(floors) if floors else None,
        compared=compared,
        runs=len(numbers),
        is_met=missed == 0,
        missed_by=missed,
    )


def _of_side(line: Line, runs: Sequence[Run], side: str) -> dict[int, Run]:
    return {
        run.round: run
        for run in runs
        # What was once measured in another way does not count.
        if (run.row, run.side) == (line.row, side) and line.value in run.values
        if not line.only or run.values.get(line.only)
    }


def _missed(aim: Aim, compared: float) -> float:
    """0 when it is met; by which part of the limit it is not; NaN is a miss."""
    if math.isnan(compared):
        return math.inf
    over = compared - aim.limit if aim.kind == "at most" else aim.limit - compared
    if over <= 0:
        return 0.0
    return over / aim.limit if aim.limit else over
