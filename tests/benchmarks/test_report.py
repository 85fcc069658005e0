"""The tables of the page, and the pictures."""

import math
from pathlib import Path

import pytest

from benchmarks.bench import aims, report, results
from benchmarks.bench.aims import Aim, Line
from benchmarks.bench.results import Run, spread

ON = {"on": "2026-01-02", "commit": "abc", "versions": "Python 3", "machine": "m", "load": "0.1"}
RUNS = [
    Run("kept", "floor", 0, {"cpu_s_per_1000": 0.4, "per_sec": 4000.0, "both_busy": 1.0}),
    Run("kept", "ours", 0, {"cpu_s_per_1000": 0.5, "per_sec": 2000.0, "both_busy": 1.0}),
    Run(
        "commands",
        "backup",
        0,
        {"p50_ms": 2.0, "p99_ms": 10.0, "max_ms": 31.0, "refused": 1, "broken": 2},
    ),
    Run("growth", "1000000", 0, {"file_mb": 83.0, "filter_chart_ms": 240.0}),
    Run("growth", "10000000", 0, {"file_mb": 830.0, "filter_chart_ms": math.nan}),
]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0"), (0.474, "0.47"), (61.27, "61.3"), (1690.4, "1,690"), (5.0, "5")],
)
def test_a_number_has_about_three_digits(value: float, expected: str) -> None:
    assert report.number(value) == expected


def test_what_there_is_no_number_for_has_a_dash() -> None:
    assert report.number(math.nan) == "–"


def test_a_spread_shows_the_quartiles_where_they_differ() -> None:
    assert report.with_spread(spread([3.0, 3.0, 3.0])) == "3"
    assert report.with_spread(spread([1.0, 2.0, 3.0, 4.0, 9.0])) == "3 (2–4)"


@pytest.mark.parametrize(
    ("aim", "english", "japanese"),
    [
        (Aim("at most", 1.1, of_floor=True), "≤ 1.1 × floor", "≤ 下限の 1.1 倍"),
        (Aim("at least", 300), "≥ 300", "≥ 300"),
        (Aim("at most", 4, of_value="commit_ms"), "≤ 4 commits", "≤ 4 コミット"),
    ],
)
def test_an_aim_is_told_in_both_languages(aim: Aim, english: str, japanese: str) -> None:
    assert (report.aim_text(aim, 0), report.aim_text(aim, 1)) == (english, japanese)


@pytest.mark.parametrize(
    ("value", "aim", "english", "japanese"),
    [
        (50.0, Aim("at most", 50), "met", "達成"),
        (60.0, Aim("at most", 50), "missed by 20 %", "未達（20 % 超過）"),
        (240.0, Aim("at least", 300), "missed by 20 %", "未達（20 % 不足）"),
        (7.0, Aim("at most", 0), "missed by 7", "未達（7 超過）"),
    ],
)
def test_a_result_says_met_or_by_how_much_not(
    value: float, aim: Aim, english: str, japanese: str
) -> None:
    line = Line("row", "x", ("what", "項目"), aim)
    found = aims.outcome(line, [Run("row", "ours", 0, {"x": value})])

    assert found is not None
    assert report.result_text(line, found, 0) == english
    assert report.result_text(line, found, 1) == japanese


def test_the_table_has_each_aim_measured_or_not() -> None:
    lines = report.aims_table(RUNS, 0)

    assert len(lines) == 2 + len(aims.LINES)
    assert lines[2] == (
        "| CPU s for 1,000 POSTs, 4 connections kept | 1.05 | 0.40 | 0.50 | 1.25"
        " | ≤ 1 × floor | missed by 25 % |"
    )
    assert lines[3].endswith("| not measured |")
    assert all(line.count("|") == 8 for line in lines)


def test_what_went_on_beside_has_its_latencies_and_all_that_was_refused_or_broken() -> None:
    assert report.beside_table(RUNS, 1)[2:] == ["| `backup` | 2 | 10 | 31 | 3 | 1 |"]


def test_growth_has_a_column_for_each_size() -> None:
    lines = report.growth_table(RUNS, 0)

    assert lines[0] == "| readings | 1,000,000 | 10,000,000 |"
    assert "| database, MB | 83 | 830 |" in lines
    assert "| chart of all with a filter, ms | 240 | – |" in lines
    assert "| backup, s | – | – |" in lines


def test_what_it_was_measured_on_is_told_once_for_rows_of_one_commit() -> None:
    on = {"a": {**ON, "load": "2"}, "b": ON, "c": {**ON, "commit": "def"}}

    lines = report.taken_text(on, ["a", "b", "c", "none"], 0)

    assert [line.partition("load average before: ")[2] for line in lines] == ["0.1–2).", "0.1)."]
    assert "commit abc with Python 3 (m;" in lines[0]


def test_each_part_is_put_between_its_marks_and_nowhere_else() -> None:
    text = "a\n<!-- aims -->\nold\n<!-- end of aims -->\nb\n<!-- end of beside -->\n"

    put = report.put_into(text, "aims", "new")

    assert put == "a\n<!-- aims -->\nnew\n<!-- end of aims -->\nb\n<!-- end of beside -->\n"
    with pytest.raises(ValueError, match="beside"):
        report.put_into(text, "beside", "new")


@pytest.mark.parametrize("language", [0, 1])
def test_the_pages_are_what_the_results_give(language: int) -> None:
    on, runs = results.read()
    text = report.PAGES[language].read_text(encoding="utf-8")

    for name, made in report.parts(on, runs, language).items():
        assert report.put_into(text, name, made) == text, f"make bench BENCH=--render: {name}"


def test_the_pictures_are_the_same_for_the_same_figures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs `make .venv/.bench`")
    from benchmarks.bench import plots  # noqa: PLC0415

    first, again = (plots.write(RUNS, tmp_path / name) for name in ("first", "again"))

    assert [path.name for path in first] == ["cost.svg", "beside.svg", "growth.svg"]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in again]
