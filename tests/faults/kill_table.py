"""The table of kills in durability.md: who was killed, how the service was used, what was lost."""

from collections.abc import Iterable, Sequence
from typing import Any

BEGIN, END = "<!-- kills -->", "<!-- end of kills -->"
COUNTED = ("times", "sent", "acknowledged", "unanswered", "stored", "lost", "doubled")

# What `record_kills` calls it, and what people do, in the order of the table.
VICTIMS = {
    "killed-worker": ("workers, one or both at once", "ワーカー（1 つ、または両方同時）"),
    "killed-master": ("the master", "マスター"),
    "killed-all": (
        "everything, also while it starts",
        "全プロセス（起動の途中を含む）",
    ),
}
HEADINGS = (
    "| killed | setting | senders | each fsync | kills | sent | 200 | no answer | stored"
    " | lost | stored twice |",
    "| 強制終了したもの | 設定 | 送信元 | fsync 1 回ごと | 回数 | 送信 | 200 | 応答なし | 保存"
    " | 消失 | 二重 |",
)
SLOWER = (("as usual", "{} ms slower"), ("通常", "{} ミリ秒遅い"))


def is_kill(run: dict[str, Any]) -> bool:
    """Whether the run belongs to this table."""
    return run["fault"] in VICTIMS


def table(runs: Iterable[dict[str, Any]], language: int) -> str:
    """The table in English (0) or Japanese (1); runs of one kind are added up."""
    kinds: dict[tuple[int, bool, int, int], list[dict[str, Any]]] = {}
    for run in filter(is_kill, runs):
        # The default first.
        committed = "committed" in run["variant"]
        kind = (list(VICTIMS).index(run["fault"]), committed, run["slower_ms"], run["senders"])
        kinds.setdefault(kind, []).append(run)
    rows = [_row(found, language) for _, found in sorted(kinds.items())]
    return "\n".join([HEADINGS[language], "|---|---|" + "---:|---|" + "---:|" * 7, *rows])


def _row(runs: Sequence[dict[str, Any]], language: int) -> str:
    one = runs[0]
    usual, slower = SLOWER[language]
    disk = slower.format(one["slower_ms"]) if one["slower_ms"] else usual
    cells = [VICTIMS[one["fault"]][language], f"`{one['variant']}`", str(one["senders"]), disk]
    cells += [f"{sum(run[name] for run in runs):,}" for name in COUNTED]
    return f"| {' | '.join(cells)} |"
