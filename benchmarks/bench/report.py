"""The tables of docs/{en,ja}/explanation/performance.md, from benchmarks/performance.jsonl."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.bench import aims, results
from benchmarks.bench.aims import Aim, Line, Outcome
from benchmarks.bench.growth import MEASURES, Measure
from benchmarks.bench.results import Run, Spread, spread

PROJECT = results.PROJECT
PAGES = tuple(PROJECT / f"docs/{name}/explanation/performance.md" for name in ("en", "ja"))
HEADINGS = (
    "| what | old server | floor | ours | ours / floor | aim | result |",
    "| 項目 | 旧サーバ | 下限 | 本システム | 対下限比 | 目標 | 結果 |",
)
RULE = "|---|---:|---:|---:|---:|---:|---|"
MET = ("met", "達成")
NOT_MEASURED = ("not measured", "未測定")
COMMITS = ("commits", "コミット")
TIMES_FLOOR = ("{} × floor", "下限の {} 倍")
BESIDE_HEADINGS = (
    "| 80 POSTs/s beside | p50, ms | p99, ms | slowest, ms | refused | runs |",
    "| 毎秒 80 件の POST と同時に | p50、ms | p99、ms | 最長、ms | 拒否 | 回数 |",
)
BESIDE = {
    ("filter-4", "alone"): ("nothing, 11 M rows", "なし、1,100 万行"),
    ("filter-4", "ours"): ("4 people, charts with a filter", "条件付きグラフを見る 4 人"),
    ("charts-8", "ours"): ("8 people, charts without", "条件なしのグラフを見る 8 人"),
    ("charts-8-behind", "ours"): (
        "the same, roll-ups not made yet",
        "同上、ロールアップ作成前",
    ),
    ("commands", "alone"): ("nothing, 1 M rows", "なし、100 万行"),
    ("commands", "download"): ("a download of the whole history", "全履歴のダウンロード"),
    ("commands", "export"): ("`export --rebuild`", "`export --rebuild`"),
    ("commands", "backup"): ("`backup`", "`backup`"),
    ("commands", "import"): ("`import`", "`import`"),
}
TAKEN = (
    "Measured on {on} at commit {commit} with {versions} ({machine}; load average before: {load}).",
    "測定: {on}、コミット {commit}、{versions}（{machine}、開始前の負荷平均 {load}）。",
)


def number(value: float) -> str:
    """With about three digits: `1,690`, `61.3`, `0.47`."""
    if math.isnan(value):
        return "–"
    if value == round(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def with_spread(of: Spread) -> str:
    """The median, and the quartiles where they differ."""
    low, high = number(of.low), number(of.high)
    return number(of.median) + ("" if low == high else f" ({low}–{high})")


def aim_text(aim: Aim, language: int) -> str:
    """`≤ 1.1 × floor`."""
    sign = "≤" if aim.kind == "at most" else "≥"
    limit = f"{aim.limit:g}"
    if aim.of_floor:
        return f"{sign} " + TIMES_FLOOR[language].format(limit)
    if aim.of_value:
        return f"{sign} {limit} {COMMITS[language]}"
    return f"{sign} {limit}"


def result_text(line: Line, found: Outcome, language: int) -> str:
    """`met`, or by how much it is missed."""
    if found.is_met:
        return MET[language]
    if line.aim.limit:
        part = found.missed_by * 100
        by = f"{part:,.0f} %" if part >= 1 else f"{part:.1g} %"
        if line.aim.kind == "at most":
            return (f"missed by {by}", f"未達（{by} 超過）")[language]
        return (f"missed by {by}", f"未達（{by} 不足）")[language]
    return (f"missed by {found.missed_by:,.0f}", f"未達（{found.missed_by:,.0f} 超過）")[language]


def aims_table(runs: Sequence[Run], language: int) -> list[str]:
    """Each aim, and whether it is met."""
    return [HEADINGS[language], RULE, *(_aim_row(line, runs, language) for line in aims.LINES)]


def _aim_row(line: Line, runs: Sequence[Run], language: int) -> str:
    found = aims.outcome(line, runs)
    if found is None:
        cells = ["–", "–", "–", aim_text(line.aim, language), NOT_MEASURED[language]]
    else:
        ours = number(found.ours.most) if line.worst else with_spread(found.ours)
        if line.aim.of_value:
            ours += f" = {number(found.compared)} {COMMITS[language]}"
        cells = [
            with_spread(found.floor) if found.floor else "–",
            ours,
            number(found.compared) if line.aim.of_floor else "–",
            aim_text(line.aim, language),
            result_text(line, found, language),
        ]
    return f"| {' | '.join([line.texts[language], line.old_server or '–', *cells])} |"


def beside_table(runs: Sequence[Run], language: int) -> list[str]:
    """How long readings wait while others ask for much."""
    lines = [BESIDE_HEADINGS[language], "|---|---:|---:|---:|---:|---:|"]
    for (row, side), texts in BESIDE.items():
        found = [run.values for run in runs if (run.row, run.side) == (row, side)]
        if not found:
            continue
        p50, p99 = (spread([values[name] for values in found]) for name in ("p50_ms", "p99_ms"))
        slowest = max(values["max_ms"] for values in found)
        refused = sum(values["refused"] + values["broken"] for values in found)
        cells = [with_spread(p50), with_spread(p99), number(slowest), number(refused)]
        lines.append(f"| {texts[language]} | {' | '.join(cells)} | {len(found)} |")
    return lines


def growth_table(runs: Sequence[Run], language: int) -> list[str]:
    """How the cost of each thing grows with the number of readings."""
    found = {run.side: run.values for run in runs if run.row == "growth"}
    sizes = sorted(found, key=int)
    if not sizes:
        return [NOT_MEASURED[language] + (".", "。")[language]]
    heading = " | ".join(f"{int(size):,}" for size in sizes)
    lines = [f"| {('readings', '測定値')[language]} | {heading} |", "|---|" + "---:|" * len(sizes)]
    return lines + [_growth_row(m, [found[size] for size in sizes], language) for m in MEASURES]


def _growth_row(measure: Measure, found: Sequence[Mapping[str, float]], language: int) -> str:
    cells = [number(v[measure.value]) if measure.value in v else "–" for v in found]
    return f"| {measure.texts[language]} | {' | '.join(cells)} |"


def taken_text(
    on: Mapping[str, Mapping[str, str]], rows: Sequence[str], language: int
) -> list[str]:
    """When and on what these rows were measured; a line for each commit, day or machine."""
    loads: dict[tuple[tuple[str, str], ...], list[float]] = {}
    for row in rows:
        if row in on:
            same = tuple((name, text) for name, text in on[row].items() if name != "load")
            loads.setdefault(same, []).append(float(on[row]["load"]))
    return [
        TAKEN[language].format(**dict(same), load=_from_to(found)) for same, found in loads.items()
    ]


def _from_to(values: Sequence[float]) -> str:
    ends = dict.fromkeys((f"{min(values):g}", f"{max(values):g}"))
    return "–".join(ends)


def parts(
    on: Mapping[str, Mapping[str, str]], runs: Sequence[Run], language: int
) -> dict[str, str]:
    """What stands between `<!-- NAME -->` and `<!-- end of NAME -->`, by name."""
    beside = list(dict.fromkeys(row for row, _ in BESIDE))
    others = list(dict.fromkeys(line.row for line in aims.LINES))
    made = {
        "aims": [*aims_table(runs, language), "", *taken_text(on, others, language)],
        "beside": [*beside_table(runs, language), "", *taken_text(on, beside, language)],
        "growth": [*growth_table(runs, language), "", *taken_text(on, ["growth"], language)],
    }
    return {name: "\n".join(lines).strip() for name, lines in made.items()}


def put_into(text: str, name: str, made: str) -> str:
    """The page with this part instead of its own; raises ValueError when it has no such part."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, mark, rest = text.partition(begin)
    _, end_mark, after = rest.partition(end)
    if not mark or not end_mark:
        raise ValueError(f"there is no {begin} with its {end}")
    return f"{before}{begin}\n{made}\n{end}{after}"


def write(pages: Sequence[Path] = PAGES) -> None:
    """Put what was measured into the pages of both languages."""
    on, runs = results.read()
    for language, page in enumerate(pages):
        text = page.read_text(encoding="utf-8")
        for name, made in parts(on, runs, language).items():
            text = put_into(text, name, made)
        page.write_text(text, encoding="utf-8")
