"""The tables of faults of a PostgreSQL server in durability.md: for how long nothing was accepted.

A line for each fault, and sentences about each whole run: what it has lost, doubled and missed.
"""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from tests.faults.taken import taken

BEGIN, END = "<!-- outages -->", "<!-- end of outages -->"
COUNTED = ("times", "sent", "acknowledged", "refused", "unanswered")
RUN = "pg-all"

# What a run calls it, and what people do, in the order of the table.
FAULTS = {
    "pg-leader-killed": ("the leader's machine dies", "リーダーのマシンが停止"),
    "pg-leader-crashed": (
        "PostgreSQL of the leader is killed, Patroni is not",
        "リーダーの PostgreSQL だけを強制終了",
    ),
    "pg-leader-frozen": (
        "PostgreSQL and Patroni of the leader are frozen for 35 s",
        "リーダーの PostgreSQL と Patroni を 35 秒間凍結",
    ),
    "pg-leader-unplugged": (
        "the leader's network is cut for 35 s",
        "リーダーのネットワークを 35 秒間切断",
    ),
    "pg-leader-parted": (
        "only the other nodes are cut off from the leader, for 35 s",
        "リーダーとほかのノードの間だけを 35 秒間切断",
    ),
    "pg-standby-killed": ("the standby's machine dies", "同期中のノードのマシンが停止"),
    "pg-standby-unplugged": (
        "the network of the standby that confirms is cut",
        "同期中のノードのネットワークを切断",
    ),
    "pg-services-parted": (
        "both service hosts are cut off from all nodes for 20 s",
        "両サービスホストと全ノードの間を 20 秒間切断",
    ),
    "pg-commit-terminated": (
        "connections are ended during COMMIT, for 8 s",
        "COMMIT 中の接続を 8 秒間切断し続ける",
    ),
    "pg-wait-cancelled": (
        "the standby is frozen for 8 s, and each wait for it is cancelled",
        "同期中のノードが 8 秒間停止し、その確認待ちを取り消し続ける",
    ),
    "pg-disk-full": (
        "the leader's disk is full for 20 s",
        "リーダーのディスクが 20 秒間満杯",
    ),
    "pg-database-away": ("all three nodes are off for 20 s", "3 台とも 20 秒間停止"),
    "pg-power-cut": (
        "the power of all three nodes is cut at once, for 20 s",
        "3 台の電源が同時に 20 秒間切れる",
    ),
    "pg-host-killed": (
        "a service host dies, and starts after 5 s",
        "サービスホストが停止し、5 秒後に起動",
    ),
    "pg-host-frozen": (
        "a service host is frozen in the middle of a commit",
        "サービスホストがコミットの途中で凍結",
    ),
    "pg-host-unplugged": (
        "a service host is cut off from all nodes for 35 s",
        "サービスホスト 1 台と全ノードの間を 35 秒間切断",
    ),
    "pg-host-clock": (
        "the clock of a service host jumps by a day, both ways",
        "サービスホストの時計が前後に 1 日ずれる",
    ),
    "pg-leader-clock": (
        "the same of the leader's PostgreSQL",
        "リーダーの PostgreSQL の時計が前後に 1 日ずれる",
    ),
    "pg-restarted": (
        "one server without a standby, away for 3 s",
        "待機のない 1 台のサーバーを 3 秒間停止",
    ),
    "pg-hour-away": ("the same, for an hour", "同上、1 時間"),
}
HEADINGS = (
    "| fault | times | sent | 200 | 503 | no answer | nothing accepted: median | longest |",
    "| 障害 | 回数 | 送信 | 200 | 503 | 応答なし | 受け付けなし: 中央値 | 最長 |",
)
SECONDS = ("{:,.1f} s", "{:,.1f} 秒")
RUNS = {
    "cluster": ("The three nodes", "ノード 3 台"),
    "alone": ("One server", "サーバー 1 台"),
}
WHOLE = (
    "{server}: {faults} faults in {minutes} minutes.\nOf {acknowledged} readings that were"
    " acknowledged {lost} are lost and {doubled} stored twice.\nReadings missed by a program that"
    " reads by id: {missed}; the CSV file differs in {csv} rows.\n",
    "{server}: {minutes} 分間に障害 {faults} 回。\n200 を返した測定値 {acknowledged} 件のうち、"
    "消失 {lost}、二重保存 {doubled}。\nid 順に読むプログラムの読み落とし {missed}、"
    "CSV ファイルとの違い {csv} 行。\n",
)
# Of the boards without a key, in runs in which there were some.
UNKEYED = (
    "Without a key {unkeyed_acknowledged} were acknowledged of {unkeyed_sent}, and"
    " {unkeyed_stored} are stored.\n",
    "キーなしの送信 {unkeyed_sent} 件のうち、200 を返したもの {unkeyed_acknowledged}、"
    "保存されているもの {unkeyed_stored}。\n",
)
UNKEYED_ADDED_UP = ("unkeyed_sent", "unkeyed_acknowledged", "unkeyed_stored")
ADDED_UP = ("faults", "acknowledged", "lost", "doubled", "missed", "csv")


def is_outage(run: dict[str, Any]) -> bool:
    """Whether the line belongs to these."""
    return run["fault"] in FAULTS or run["fault"] == RUN


def table(runs: Iterable[dict[str, Any]], language: int) -> str:
    """The table in English (0) or Japanese (1), and what the runs have lost."""
    lines = [run for run in runs if is_outage(run)]
    rows = []
    for fault in FAULTS:
        if found := [line for line in lines if line["fault"] == fault]:
            rows.append(_row(fault, found, language))
    wholes = [_whole(server, lines, language) for server in RUNS]
    rule = "|---|" + "---:|" * 7
    wholes.append(taken(lines, language) if lines else "")
    return "\n".join([HEADINGS[language], rule, *rows, "", *filter(None, wholes)])


def _row(fault: str, lines: Sequence[dict[str, Any]], language: int) -> str:
    gaps = [line["nothing_accepted_sec"] for line in lines]
    cells = [FAULTS[fault][language]]
    cells += [f"{sum(line.get(name, 0) for line in lines):,}" for name in COUNTED]
    cells += [SECONDS[language].format(value) for value in (median(gaps), max(gaps))]
    return f"| {' | '.join(cells)} |"


def _whole(server: str, lines: Sequence[dict[str, Any]], language: int) -> str:
    found = [line for line in lines if line["fault"] == RUN and line["server"] == server]
    if not found:
        return ""
    numbers = {name: f"{sum(line[name] for line in found):,}" for name in ADDED_UP}
    minutes = round(sum(line["seconds"] for line in found) / 60)
    text = WHOLE[language].format(server=RUNS[server][language], minutes=minutes, **numbers)
    unkeyed = {name: f"{sum(line.get(name, 0) for line in found):,}" for name in UNKEYED_ADDED_UP}
    if any(name in line for line in found for name in unkeyed):
        text += UNKEYED[language].format(**unkeyed)
    return text
