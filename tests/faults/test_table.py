"""The table of the fault tests' figures says what was recorded, of every fault."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.service import PROJECT
from tests.faults import kill_table, outage_table, table

RUN: dict[str, Any] = {
    **{"fault": "power-cut", "variant": "ACK=enqueued, SYNCHRONOUS=FULL", "times": 200},
    **{"sent": 21000, "acknowledged": 20990, "refused": 3, "unanswered": 7, "stored": 20000},
    **{"lost": 990, "notes": {"committed": 30}},
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
            "| power cut under load (shim) | `ACK=enqueued`, `SYNCHRONOUS=FULL` | 200 | 21,000"
            " | 20,990 | 3 | 7 | 20,000 | 990 | rows seen before the cut: 30 |",
            "Taken on 2026-11-24 at commit abc with Python 3.11 (a Pi).",
        ),
        (
            1,
            "| 負荷中に停電（模擬） | `ACK=enqueued`, `SYNCHRONOUS=FULL` | 200 | 21,000"
            " | 20,990 | 3 | 7 | 20,000 | 990 | 停電前に見えていた行: 30 |",
            "測定: 2026-11-24、コミット abc、Python 3.11（a Pi）。",
        ),
    ],
)
def test_a_row(language: int, row: str, taken: str) -> None:
    assert table.table([RUN], language).splitlines()[2:] == [row, "", taken]


def test_runs_of_one_fault_are_added_up() -> None:
    other = RUN | {"times": 20, "lost": 10, "notes": {"committed": 9}, "commit": "def"}
    hup = RUN | {"fault": "hup", "variant": "", "notes": {}}
    hup_row, power_cut = table.table([hup, RUN, other], 0).splitlines()[2:4]
    assert (
        " | 220 | 42,000 | 41,980 | 6 | 14 | 40,000 | 1,000 | rows seen before the cut: 39 |"
        in power_cut
    )
    assert hup_row.startswith("| SIGHUP (reload) under load | – | 200 |")


KILLS: dict[str, Any] = {
    **{"fault": "killed-worker", "variant": "ACK=enqueued", "times": 50, "sent": 21000},
    **{"acknowledged": 20990, "refused": 0, "unanswered": 10, "stored": 20996, "lost": 0},
    **{"doubled": 0, "senders": 32, "slower_ms": 20},
    **{"on": "2026-11-24", "commit": "abc", "versions": "Python 3.11", "machine": "a Pi"},
}


@pytest.mark.parametrize(
    ("language", "row"),
    [
        (
            0,
            "| workers, one or both at once | `ACK=enqueued` | 32 | 20 ms slower | 100 | 42,000"
            " | 41,980 | 20 | 41,992 | 0 | 0 |",
        ),
        (
            1,
            "| ワーカ（1 つ、または両方同時） | `ACK=enqueued` | 32 | 20 ミリ秒遅い | 100 | 42,000"
            " | 41,980 | 20 | 41,992 | 0 | 0 |",
        ),
    ],
)
def test_kills_have_a_table_of_their_own(language: int, row: str) -> None:
    usual = KILLS | {"slower_ms": 0}
    lines = kill_table.table([KILLS, RUN, usual, KILLS], language).splitlines()
    assert len(lines) == 4
    assert lines[3] == row
    assert table.table([KILLS, RUN], language).splitlines()[3] == ""


OUTAGE: dict[str, Any] = {
    **{"fault": "pg-leader-killed", "server": "cluster", "times": 1, "sent": 2000},
    **{"acknowledged": 1990, "refused": 80, "nothing_accepted_sec": 21.5},
    **{"on": "2026-11-24", "commit": "abc", "versions": "Python 3.11", "machine": "a Pi"},
}
WHOLE: dict[str, Any] = {
    **{"fault": "pg-all", "server": "cluster", "seconds": 1830, "faults": 44, "stored": 60000},
    **{"acknowledged": 60000, "lost": 0, "doubled": 0, "missed": 0, "csv": 0},
    **{"on": "2026-11-24", "commit": "abc", "versions": "Python 3.11", "machine": "a Pi"},
}


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (0, "Without a key 1,900 were acknowledged of 2,000, and 1,950 are stored."),
        (
            1,
            "キーなしの送信 2,000 件のうち、保存したと答えたもの 1,900、保存されているもの 1,950。",
        ),
    ],
)
def test_readings_without_a_key_are_told_where_some_were_sent(language: int, words: str) -> None:
    counts = {"unkeyed_sent": 2000, "unkeyed_acknowledged": 1900, "unkeyed_stored": 1950}
    assert words not in outage_table.table([WHOLE], language)
    assert words in outage_table.table([WHOLE | counts], language)


@pytest.mark.parametrize(
    ("language", "row", "whole"),
    [
        (
            0,
            "| the leader's machine dies | 3 | 6,000 | 5,970 | 240 | 0 | 21.5 s | 1,030.0 s |",
            "The three nodes: 44 faults in 30 minutes.",
        ),
        (
            1,
            "| リーダのマシンが停止 | 3 | 6,000 | 5,970 | 240 | 0 | 21.5 秒 | 1,030.0 秒 |",
            "ノード 3 台: 30 分間に障害 44 回。",
        ),
    ],
)
def test_outages_say_for_how_long_nothing_was_accepted(language: int, row: str, whole: str) -> None:
    longest = OUTAGE | {"nothing_accepted_sec": 1030.0}
    lines = outage_table.table([OUTAGE, RUN, longest, WHOLE, OUTAGE], language).splitlines()
    assert lines[2:5] == [row, "", whole]
    assert "60,000" in lines[5]
    assert table.table([RUN, OUTAGE], language).splitlines()[3] == ""


def test_only_what_is_between_the_marks_is_replaced() -> None:
    text = f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n"
    assert table.put_into(text, "new") == f"before\n{table.BEGIN}\nnew\n{table.END}\nafter\n"


def test_every_fault_has_figures() -> None:
    recorded_faults = {run["fault"] for run in table.read(table.FIGURES)}
    outages = outage_table.FAULTS.keys() | {outage_table.RUN}
    assert recorded_faults - outages == table.FAULTS.keys() | kill_table.VICTIMS.keys()
    # A cluster can't be started everywhere, so its faults may lack.
    assert {"pg-restarted", outage_table.RUN} <= recorded_faults


@pytest.mark.parametrize(("language", "name"), [(0, table.ENGLISH), (1, table.JAPANESE)])
def test_the_documents_show_the_figures(language: int, name: str) -> None:
    text = (PROJECT / name).read_text(encoding="utf-8")
    assert table.put_all_into(text, table.read(table.FIGURES), language) == text
