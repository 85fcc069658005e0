"""The tables of `performance.md` and `growth.md` (docs/{en,ja}/explanation), from results.jsonl."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks import results
from benchmarks.aims import LINES, TABLES, Line, Outcome, outcome
from benchmarks.results import Run, Spread, spread

LANGUAGES = ("en", "ja")
MINUTE_SEC = 60
# What the processor time of more boards is computed from.
USUAL = "SQLite; 10000; steady"
EXPLANATIONS = tuple(results.PROJECT / f"docs/{name}/explanation" for name in LANGUAGES)
PAGES = tuple(folder / "performance.md" for folder in EXPLANATIONS)
GROWTH_PAGES = tuple(folder / "growth.md" for folder in EXPLANATIONS)
MET = ("met", "達成")
NOT_MEASURED = ("not measured", "未測定")
COMMITS = ("commits", "コミット")
TIMES_FLOOR = ("{} × floor", "下限の {} 倍")
# What a line of the table of hosts says, in its order.
OF_HOSTS = (
    "per_sec",
    "batch_rows",
    "commits_per_sec",
    "service_cpu",
    "database_cpu",
    "sender_cpu",
    "service_ms",
)
MISSED = {
    "at most": ("missed by {}", "未達（{} 超過）"),
    "at least": ("missed by {}", "未達（{} 不足）"),
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


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _heading(table: str, language: int) -> str:
    heading: str = TABLES["headings"][0][f"{table}_{LANGUAGES[language]}"]
    return heading


def _rule(columns: int) -> str:
    return "|---" + "|---:" * columns + "|"


def _aim_text(line: Line, language: int) -> str:
    """`≤ 1.1 × floor`."""
    sign = "≤" if line.kind == "at most" else "≥"
    limit = f"{line.limit:g}"
    if line.of_floor:
        return f"{sign} " + TIMES_FLOOR[language].format(limit)
    return f"{sign} {limit} {COMMITS[language]}" if line.of_value else f"{sign} {limit}"


def _result_text(line: Line, measured: Outcome, language: int) -> str:
    """`met`, or by how much it is missed."""
    if not measured.missed_by:
        return MET[language]
    by = f"{measured.missed_by:,.0f}"
    if line.limit:
        part = measured.missed_by * 100
        by = f"{part:,.0f} %" if part >= 1 else f"{part:.1g} %"
    return MISSED[line.kind][language].format(by)


def aims_table(runs: Sequence[Run], language: int) -> list[str]:
    """Each aim, and whether it is met."""
    rule = "|---|---:|---:|---:|---:|---:|---|"
    return [_heading("aims", language), rule, *(_aim_row(line, runs, language) for line in LINES)]


def _aim_row(line: Line, runs: Sequence[Run], language: int) -> str:
    measured = outcome(line, runs)
    text = (line.en, line.ja)[language]
    if measured is None:
        cells = ["–", "–", "–", _aim_text(line, language), NOT_MEASURED[language]]
    else:
        ours = number(measured.ours.most) if line.worst else with_spread(measured.ours)
        if line.of_value:
            ours += f" = {number(measured.compared)} {COMMITS[language]}"
        cells = [
            with_spread(measured.floor) if measured.floor else "–",
            ours,
            number(measured.compared) if line.of_floor else "–",
            _aim_text(line, language),
            _result_text(line, measured, language),
        ]
    return _row(text, line.old_server or "–", *cells)


def beside_table(runs: Sequence[Run], language: int) -> list[str]:
    """How long readings wait while others ask for much."""
    lines = [_heading("beside", language), _rule(5)]
    for line in TABLES["beside"]:
        of = [run.values for run in runs if (run.row, run.side) == (line["row"], line["side"])]
        if of:
            p50, p99 = (spread([values[name] for values in of]) for name in ("p50_ms", "p99_ms"))
            slowest = max(values["max_ms"] for values in of)
            refused = sum(values["refused"] + values["broken"] for values in of)
            cells = [with_spread(p50), with_spread(p99), number(slowest), number(refused)]
            lines.append(_row(line[LANGUAGES[language]], *cells, len(of)))
    return lines


def growth_table(runs: Sequence[Run], language: int) -> list[str]:
    """How the cost of each thing grows with the number of readings."""
    of = {run.side: run.values for run in runs if run.row == "growth"}
    sizes = sorted(of, key=int)
    heading = _heading("growth", language)
    return [_row(heading, *(f"{int(size):,}" for size in sizes)), _rule(len(sizes))] + [
        _row(
            line[LANGUAGES[language]],
            *(number(of[size].get(line["value"], math.nan)) for size in sizes),
        )
        for line in TABLES["growth"]
    ]


def engines_table(runs: Sequence[Run], language: int) -> list[str]:
    """The same work on both engines."""
    lines = [_heading("engines", language), _rule(3)]
    for line in TABLES["engines"]:
        sqlite, postgres = (_medians(runs, "engines", s, line) for s in ("SQLite", "PostgreSQL"))
        ratio = "" if math.isnan(sqlite) else f"{postgres / sqlite:.2f}"
        lines.append(_row(line[LANGUAGES[language]], number(sqlite), number(postgres), ratio))
    return lines


def hosts_table(runs: Sequence[Run], language: int) -> list[str]:
    """How services on PostgreSQL, and the floor, use the cores that they share."""
    lines = [_heading("hosts", language), _rule(len(OF_HOSTS) + 1)]
    for line in TABLES["hosts"]:
        of = [run.values for run in runs if (run.row, run.side) == (line["row"], line["side"])]
        # What was once measured in another way does not count.
        of = [values for values in of if set(OF_HOSTS) <= values.keys()]
        if of:
            cells = [with_spread(spread([values[name] for values in of])) for name in OF_HOSTS]
            lines.append(_row(line[LANGUAGES[language]], *cells, len(of)))
    return lines


def boards_table(runs: Sequence[Run], language: int) -> list[str]:
    """What boards that send each minute get for answers, and what that costs."""
    lines = [_heading("boards", language), "|---|---:|---|" + "---:|" * 10]
    for run in (run for run in runs if run.row == "boards"):
        place, size, stage = run.side.split("; ")
        v = run.values
        cores = v.get("service_cpu", math.nan) + v.get("database_cpu", 0.0)
        cells = [
            number(v["stored_per_sec"]),
            f"{v['answered_200'] * 100:.1f} %",
            *(number(v[name]) for name in ("p50_ms", "p99_ms", "max_ms")),
            number(v["refused"]),
            number(v["unanswered"] + v["not_connected"]),
            number(cores),
            number(v["memory_mb"]),
            number(v["queue_most"]),
        ]
        words = [_word(name, language) for name in (place, stage)]
        lines.append(_row(words[0], f"{int(size):,}", words[1], *cells))
    return [*lines, "", _counted_sentence([run for run in runs if run.row == "boards"], language)]


def _word(name: str, language: int) -> str:
    words: dict[str, list[str]] = TABLES["words"][0]
    return words[name][language] if name in words else name


def _counted_sentence(of: Sequence[Run], language: int) -> str:
    names = ("acknowledged", "lost", "twice", "twice_without_key")
    # Those that are there twice are counted since the first run of a place with so many boards.
    last = {run.side.rpartition("; ")[0]: run.values for run in of}
    numbers = {name: sum(values[name] for values in last.values()) for name in names[2:]}
    numbers |= {name: sum(run.values[name] for run in of) for name in names[:2]}
    sender = max((run.values["sender_cpu"] for run in of), default=math.nan)
    shown = {name: number(value) for name, value in numbers.items()}
    text: str = TABLES["sentences"][0]["boards"][language]
    return text.format(**shown, sender=f"{sender:.2f}")


def answer_table(runs: Sequence[Run], language: int) -> list[str]:
    """How many boards there may be: what was measured, and what follows from it."""
    lines = [_heading("answer", language), "|---|---|---|"]
    usual = {run.side: run.values for run in runs if run.row == "boards"}.get(USUAL)
    for line in TABLES["answer"]:
        numbers = _numbers_of(line, runs, usual)
        if numbers is not None:
            cells = (line[f"{name}_{LANGUAGES[language]}"] for name in ("boards", "takes"))
            how = _word(line["how"], language)
            lines.append(_row(*(cell.format(**numbers) for cell in cells), how))
    return lines


def _numbers_of(
    line: Mapping[str, Any], runs: Sequence[Run], usual: Mapping[str, float] | None
) -> dict[str, str] | None:
    """What the texts of a line name in braces; None when it was not measured."""
    if "place" in line:
        of = {run.side.rpartition("; ")[2]: run.values for run in runs if _is_at(run, line)}
        borne = [int(size) for size, values in of.items() if values["is_borne"]]
        not_borne = [int(size) for size, values in of.items() if not values["is_borne"]]
        if not borne:
            return None
        return {
            "most": f"{max(borne):,}",
            "per_sec": number(max(borne) / MINUTE_SEC),
            "p99": number(of[str(max(borne))]["p99_ms"]),
            "beyond": f"{min(not_borne):,}" if not_borne else "–",
        }
    if usual is None:
        return {} if line["how"] == "limit" else None
    cores = usual["service_cpu"] / usual["boards"]
    return {
        "p99": number(usual["p99_ms"]),
        "usual_cores": f"{usual['service_cpu']:.2f}",
        "memory": number(usual["memory_mb"]),
        "cores": number(cores * line.get("boards", 0)),
    }


def _is_at(run: Run, line: Mapping[str, Any]) -> bool:
    return run.row == "knee" and run.side.rpartition("; ")[0] == line["place"]


def knee_table(runs: Sequence[Run], language: int) -> list[str]:
    """The 99th percentile of the answers for more and more boards; bold where it is too long."""
    of = {tuple(run.side.split("; ")): run.values for run in runs if run.row == "knee"}
    places = list(dict.fromkeys(place for place, _ in of))
    sizes = sorted({int(size) for _, size in of})
    heading = [_heading("knee", language), *(_word(place, language) for place in places)]
    lines = [_row(*heading), "|---:|---:|" + "---:|" * len(places)]
    for size in sizes:
        cells = [_knee_cell(of.get((place, str(size))), language) for place in places]
        lines.append(_row(f"{size:,}", number(size / MINUTE_SEC), *cells))
    return lines


def _knee_cell(values: Mapping[str, float] | None, language: int) -> str:
    if values is None:
        return "–"
    shown = f"{number(values['p99_ms'])} ms"
    if values["is_borne"]:
        return shown
    answered = number(values["answered_200"] * 100)
    return f"**{shown}** ({_word('answered', language).format(answered)})"


def _medians(runs: Sequence[Run], row: str, side: str, line: Mapping[str, Any]) -> float:
    of = [run.values for run in runs if (run.row, run.side) == (row, side)]
    values = [values[line["value"]] for values in of if line["value"] in values]
    return median(values) if values else math.nan


def taken_text(
    on: Mapping[str, Mapping[str, str]], rows: Sequence[str], language: int
) -> list[str]:
    """When and on what these rows were measured; a line for each commit, day or machine."""
    loads: dict[tuple[tuple[str, str], ...], list[float]] = {}
    for row in rows:
        if row in on:
            same = tuple((name, text) for name, text in on[row].items() if name != "load")
            loads.setdefault(same, []).append(float(on[row].get("load", math.nan)))
    return [
        TAKEN[language].format(**dict(same), load=_from_to(values))
        for same, values in loads.items()
    ]


def _from_to(values: Sequence[float]) -> str:
    ends = (f"{min(values):g}", f"{max(values):g}")
    return "–".join(dict.fromkeys(ends)).replace("nan", "–")


def parts(
    on: Mapping[str, Mapping[str, str]], runs: Sequence[Run], language: int
) -> dict[str, str]:
    """What is between `<!-- NAME -->` and `<!-- end of NAME -->`, by name."""
    beside = list(dict.fromkeys(line["row"] for line in TABLES["beside"]))
    hosts = dict.fromkeys(line["row"] for line in TABLES["hosts"])
    others = list(dict.fromkeys(line.row for line in LINES))
    made = {
        "aims": (aims_table(runs, language), others),
        "beside": (beside_table(runs, language), beside),
        "growth": (growth_table(runs, language), ["growth"]),
        "engines": (engines_table(runs, language), ["engines"]),
        "hosts": (hosts_table(runs, language), list(hosts)),
        "answer": (answer_table(runs, language), ["boards", "knee"]),
        "boards": (boards_table(runs, language), ["boards"]),
        "knee": (knee_table(runs, language), ["knee"]),
    }
    return {
        name: "\n".join([*lines, "", *taken_text(on, rows, language)]).strip()
        for name, (lines, rows) in made.items()
    }


def put_into(text: str, name: str, made: str) -> str:
    """The page with this part instead of its own; raises ValueError when it has no such part."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, mark, rest = text.partition(begin)
    _, end_mark, after = rest.partition(end)
    if not mark or not end_mark:
        raise ValueError(f"there is no {begin} with its {end}")
    return f"{before}{begin}\n{made}\n{end}{after}"


def write() -> None:
    """Put what was measured into the pages of both languages."""
    on, runs = results.read()
    for language, pages in enumerate(zip(PAGES, GROWTH_PAGES, strict=True)):
        made = parts(on, runs, language)
        of_growth = {name: made.pop(name) for name in ("answer", "boards", "knee")}
        for page, of_page in zip(pages, (made, of_growth), strict=True):
            text = page.read_text(encoding="utf-8")
            for name, part in of_page.items():
                text = put_into(text, name, part)
            page.write_text(text, encoding="utf-8")
