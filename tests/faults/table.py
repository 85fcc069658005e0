"""The tables of durability.md, made from the figures of `make soak`; nobody types a number.

`python -m tests.faults.table` puts them into the documents of both languages.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.service import PROJECT
from tests.faults import kill_table, outage_table
from tests.faults.taken import taken

FIGURES = Path(__file__).with_name("figures.jsonl")
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
ENGLISH, JAPANESE = (f"docs/{language}/explanation/durability.md" for language in ("en", "ja"))
COUNTED = ("sent", "acknowledged", "refused", "unanswered", "stored", "lost")

# What `record` calls a fault, and what people do, in the order of the table.
FAULTS = {
    "sigterm-full": (
        "SIGTERM at a full queue, a slow request in flight",
        "キューが満杯で、遅いリクエストの処理中に SIGTERM",
    ),
    "hup": ("SIGHUP (reload) under load", "負荷中に SIGHUP（再読み込み）"),
    "stop-locked": (
        "SIGTERM while another process holds the write lock to the end",
        "他プロセスが書き込みロックを最後まで保持したまま SIGTERM",
    ),
    "stop-equal": (
        "the same, and all readings are equal, in one millisecond",
        "同上。測定値もすべて同じで、同じミリ秒に届く",
    ),
    "stop-full": ("SIGTERM while the disk is full to the end", "ディスクが満杯のまま SIGTERM"),
    "stop-sync": (
        "SIGTERM while every fdatasync is EIO to the end",
        "すべての fdatasync が EIO のまま SIGTERM",
    ),
    "leftovers": (
        "what a stop has left is stored under load",
        "停止時に残った測定値を、負荷中に保存",
    ),
    "write-lock": (
        "write lock held by another process",
        "他プロセスが書き込みロックを保持",
    ),
    "disk-full": ("disk full, and space again", "ディスクが満杯になり、その後空く"),
    "file-size": ("file-size limit", "ファイルサイズの上限"),
    "sync-fails": ("EIO on every fdatasync", "すべての fdatasync が EIO"),
    "damage-at-rest": ("pages overwritten while stopped", "停止中にページを上書き"),
    "damage-live": ("pages overwritten under load", "負荷中にページを上書き"),
    "read-fails": (
        "EIO on single reads of the database, under load",
        "負荷中にデータベースの読み取りが単発で EIO",
    ),
    "file-taken": (
        "database file moved away or replaced under load",
        "負荷中にデータベースファイルを移動・差し替え",
    ),
    "files-lost": (
        "`-wal`, `-shm` or all files of the database deleted under load",
        "負荷中に `-wal`、`-shm`、データベースの全ファイルを削除",
    ),
    "snapshot": (
        "a reader holds a snapshot under load",
        "負荷中に読み手が古いスナップショットを保持",
    ),
    "power-cut": ("power cut under load (shim)", "負荷中に停電（模擬）"),
    "writer-dies": ("writer thread dies under load", "負荷中の書き込みスレッドの異常終了"),
    "clock-jump": ("clock jumps by a day, both ways", "時計が前後に 1 日ずれる"),
    "two-services": (
        "two services start on one database",
        "一つのデータベースに二つのサービスを起動",
    ),
    "poison": (
        "readings that the database refuses, inside good batches",
        "正常なバッチの中に、データベースが拒否する測定値",
    ),
}
HEADINGS = (
    "| fault | setting | times | sent | 200 | refused | no answer | stored | lost | besides |",
    "| 障害 | 設定 | 回数 | 送信 | 200 | 拒否 | 応答なし | 保存 | 消失 | その他 |",
)
# What is noted besides; of several runs the highest counts, or their sum.
NOTES = {
    "seconds": ("held for {} s", "{} 秒保持"),
    "wal_bytes": ("longest WAL: {} bytes", "WAL の最大: {} バイト"),
    "committed": ("rows seen before the cut: {}", "停電前に見えていた行: {}"),
    "committed_lost": ("of these gone: {}", "うち消えた行: {}"),
    "left": ("left by the stop, and stored: {}", "停止時に残り、保存した数: {}"),
    "kept": ("kept among the rejected: {}", "拒否分として保管: {}"),
}
HIGHEST = {"seconds", "wal_bytes"}


@dataclass(frozen=True, slots=True)
class Line:
    """What was counted of one fault under one setting, over all its runs."""

    fault: str
    variant: str
    times: int
    counted: Counter[str]
    notes: dict[str, float]


def read(file: Path) -> list[dict[str, Any]]:
    """The recorded runs."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def added_up(runs: Iterable[dict[str, Any]]) -> list[Line]:
    """A line for each fault and setting, in the order of FAULTS."""
    together: dict[tuple[int, bool, str], list[dict[str, Any]]] = {}
    for run in runs:
        # The default first.
        setting = ("committed" in run["variant"], run["variant"])
        together.setdefault((list(FAULTS).index(run["fault"]), *setting), []).append(run)
    return [_line(found) for _, found in sorted(together.items())]


def _line(runs: Sequence[dict[str, Any]]) -> Line:
    counted = Counter({name: sum(run[name] for run in runs) for name in COUNTED})
    names = runs[0]["notes"]
    notes = {name: _together(name, [run["notes"][name] for run in runs]) for name in names}
    times = sum(run["times"] for run in runs)
    return Line(runs[0]["fault"], runs[0]["variant"], times, counted, notes)


def _together(note: str, values: Sequence[float]) -> float:
    return max(values) if note in HIGHEST else sum(values)


def table(runs: Sequence[dict[str, Any]], language: int) -> str:
    """The table in English (0) or Japanese (1), and what it was taken with."""
    own = [run for run in runs if not outage_table.is_outage(run)]
    others = [run for run in own if not kill_table.is_kill(run)]
    rows = [_row(line, language) for line in added_up(others)]
    heading = HEADINGS[language]
    rule = "|---|---|" + "---:|" * 7 + "---|"
    return "\n".join([heading, rule, *rows, "", taken(own, language)])


def _row(line: Line, language: int) -> str:
    setting = ", ".join(f"`{part}`" for part in line.variant.split(", ") if part) or "–"
    notes = [NOTES[name][language].format(f"{value:,}") for name, value in line.notes.items()]
    numbers = [f"{line.counted[name]:,}" for name in COUNTED]
    cells = [FAULTS[line.fault][language], setting, f"{line.times:,}", *numbers, "; ".join(notes)]
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def put_into(text: str, made: str, begin: str = BEGIN, end: str = END) -> str:
    """The document with this table instead of its own."""
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{made}\n{end}{after}"


def put_all_into(text: str, runs: Sequence[dict[str, Any]], language: int) -> str:
    """The document with all tables."""
    kills = kill_table.table(runs, language)
    text = put_into(text, kills, kill_table.BEGIN, kill_table.END)
    outages = outage_table.table(runs, language)
    text = put_into(text, outages, outage_table.BEGIN, outage_table.END)
    return put_into(text, table(runs, language))


def main() -> None:
    """Put the tables into both documents."""
    runs = read(FIGURES)
    for language, name in enumerate((ENGLISH, JAPANESE)):
        document = PROJECT / name
        text = document.read_text(encoding="utf-8")
        document.write_text(put_all_into(text, runs, language), encoding="utf-8")


if __name__ == "__main__":
    main()
