"""The table of the fault tests' figures says what was recorded, of every fault."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.service import PROJECT
from tests.faults import table

RUN: dict[str, Any] = {
    **{"fault": "worker-kill", "variant": "ACK=enqueued, SYNCHRONOUS=FULL", "times": 200},
    **{"sent": 21000, "acknowledged": 20990, "refused": 3, "unanswered": 7, "stored": 20000},
    **{"lost": 990, "notes": {"worst": 30}},
    **{"on": "2026-11-24", "commit": "abc", "versions": "Python 3.11", "machine": "a Pi"},
}


def recorded() -> Iterator[str]:
    """What the fault tests record."""
    for file in Path(__file__).parent.glob("test_*.py"):
        yield from re.findall(r"^ +record\(\s*\"([^\"]+)\"", file.read_text(), re.MULTILINE)


def test_each_fault_that_is_recorded_has_a_name() -> None:
    assert set(recorded()) == table.FAULTS.keys()


@pytest.mark.parametrize(
    ("language", "row", "taken"),
    [
        (
            0,
            "| `kill -9` of a worker under load | `ACK=enqueued`, `SYNCHRONOUS=FULL` | 200 | 21,000"
            " | 20,990 | 3 | 7 | 20,000 | 990 | most lost by one: 30 |",
            "Taken on 2026-11-24 at commit abc with Python 3.11 (a Pi).",
        ),
        (
            1,
            "| 負荷中にワーカを `kill -9` | `ACK=enqueued`, `SYNCHRONOUS=FULL` | 200 | 21,000"
            " | 20,990 | 3 | 7 | 20,000 | 990 | 1 回での最大消失: 30 |",
            "測定: 2026-11-24、コミット abc、Python 3.11（a Pi）。",
        ),
    ],
)
def test_a_row(language: int, row: str, taken: str) -> None:
    assert table.table([RUN], language).splitlines()[2:] == [row, "", taken]


def test_runs_of_one_fault_are_added_up() -> None:
    other = RUN | {"times": 20, "lost": 10, "notes": {"worst": 9}, "commit": "def"}
    hup = RUN | {"fault": "hup", "variant": "", "notes": {}}
    worker_kill, hup_row = table.table([hup, RUN, other], 0).splitlines()[2:4]
    assert (
        " | 220 | 42,000 | 41,980 | 6 | 14 | 40,000 | 1,000 | most lost by one: 30 |" in worker_kill
    )
    assert hup_row.startswith("| SIGHUP (reload) under load | – | 200 |")


def test_only_what_is_between_the_marks_is_replaced() -> None:
    text = f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n"
    assert table.put_into(text, "new") == f"before\n{table.BEGIN}\nnew\n{table.END}\nafter\n"


def test_every_fault_has_figures() -> None:
    assert {run["fault"] for run in table.read(table.FIGURES)} == table.FAULTS.keys()


@pytest.mark.parametrize(("language", "name"), [(0, table.ENGLISH), (1, table.JAPANESE)])
def test_the_documents_show_the_figures(language: int, name: str) -> None:
    text = (PROJECT / name).read_text(encoding="utf-8")
    assert table.put_into(text, table.table(table.read(table.FIGURES), language)) == text
