"""Is the disk full, a backup overdue, an export late, a queue long, the database in trouble?

The page, the alert and Prometheus say the same at the limit of each rule and just below it. Whether
a station is silent is in `test_silence.py`.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
from flask.testing import FlaskClient

from flask10x.config.alerts.rules import (
    BackupOverdue,
    DatabaseTrouble,
    Disk,
    ExportOverdue,
    Queue,
    ReplicaOverdue,
    WrongCopies,
)
from flask10x.database import verified
from flask10x.database.sqlite.litestream import Replica
from flask10x.database.verified import Difference, Result
from flask10x.health import copies
from flask10x.runtime.alerting.watch_list import watches_of
from flask10x.runtime.alerting.watcher import AlertWatcher
from flask10x.runtime.store import Store
from flask10x.system import clock
from tests.runtime.alerting.test_watcher import NoDelivery
from tests.support.rows import execute, file_row, pico
from tests.web.pages.status.test_page import Shown

RULES = (
    Disk(free_percent=5),
    BackupOverdue(after_sec=3600),
    ExportOverdue(after_sec=3600),
    ReplicaOverdue(after_sec=3600),
    Queue(for_sec=0),
    DatabaseTrouble(for_sec=0),
    WrongCopies(),
)
NOW_MS = 1_756_000_000_000  # 2025-08-24 10:46:40 in Tokyo


@dataclass(frozen=True)
class Home:
    """A store, and what its tests set."""

    store: Store
    patch: pytest.MonkeyPatch


def free(home: Home, percent: float) -> None:
    disk = SimpleNamespace(f_frsize=4096, f_blocks=100_000, f_bavail=round(percent * 1000))
    home.patch.setattr(os, "statvfs", lambda _folder: disk)


def back_up(home: Home, ago_ms: int) -> None:
    folder = home.store.settings.backup_dir
    folder.mkdir()
    (folder / "flask10x-20250824-094640.sqlite3").touch()
    home.patch.setattr(clock, "now_ms", lambda: NOW_MS - 3_600_000 + ago_ms)


def replicate(home: Home, ago_ms: int) -> None:
    synced = Replica(is_running=True, synced_at=NOW_MS - ago_ms)
    home.patch.setattr(copies, "replica", lambda _settings: synced)


def export(home: Home, ago_ms: int) -> None:
    execute(
        home.store.database.path,
        file_row(last_id=1, size_bytes=100),
        "INSERT INTO readings (endpoint, received_at, pressure) VALUES ('data', 1, 1.0)",
        "INSERT INTO readings (endpoint, received_at, pressure)"
        f" VALUES ('data', {NOW_MS - ago_ms}, 1.0)",
    )


def fill_queue(home: Home, count: int) -> None:
    for number in range(count):
        home.store.writer.submit(pico(number, NOW_MS))


def hinder(home: Home, trouble: str) -> None:
    home.store.writer.trouble = trouble


def compare(home: Home, *, is_repaired: bool) -> None:
    difference = Difference(kind="reading", wrong=("table",), is_repaired=is_repaired)
    result = Result(
        finished_at=NOW_MS, seconds=1, readings=1, lines=1, hours=1, differences=(difference,)
    )
    verified.save(home.store.settings, result)


@dataclass(frozen=True)
class Case:
    """How a rule comes to its limit, and what the page calls it."""

    kind: str
    question: str
    mood: str
    set_up: Callable[[Home], None]
    is_firing: bool


CASES = {
    "disk above": Case("disk", "card", "wrong", lambda home: free(home, 5), False),
    "disk below": Case("disk", "card", "wrong", lambda home: free(home, 4.99), True),
    "backup in time": Case("backup", "backed_up", "warn", lambda h: back_up(h, 3_600_000), False),
    "backup late": Case("backup", "backed_up", "warn", lambda h: back_up(h, 3_600_001), True),
    "replica in time": Case(
        "replica", "replicated", "warn", lambda home: replicate(home, 3_600_000), False
    ),
    "replica late": Case(
        "replica", "replicated", "warn", lambda home: replicate(home, 3_600_001), True
    ),
    "export in time": Case("export", "exported", "warn", lambda h: export(h, 3_600_000), False),
    "export late": Case("export", "exported", "warn", lambda h: export(h, 3_600_001), True),
    "copies repaired": Case(
        "copies", "compared", "wrong", lambda h: compare(h, is_repaired=True), False
    ),
    "copies differ": Case(
        "copies", "compared", "wrong", lambda h: compare(h, is_repaired=False), True
    ),
    "queue short": Case("queue", "stored", "warn", lambda home: fill_queue(home, 3), False),
    "queue long": Case("queue", "stored", "warn", lambda home: fill_queue(home, 4), True),
    "stored": Case("database", "stored", "wrong", lambda home: hinder(home, ""), False),
    "not stored": Case("database", "stored", "wrong", lambda h: hinder(h, "SQLITE_FULL"), True),
}


@pytest.fixture
def home(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setattr(clock, "now_ms", lambda: NOW_MS)
    alerts = replace(store.settings.alerts, rules=RULES)
    settings = replace(store.settings, alerts=alerts, queue_warn_threshold=4)
    monkeypatch.setattr(store, "settings", settings)
    yield Home(store, monkeypatch)


@pytest.mark.parametrize("case", CASES)
def test_all_give_the_same_verdict(case: str, home: Home, client: FlaskClient) -> None:
    wanted = CASES[case]
    wanted.set_up(home)
    step(home)
    numbers = client.get("/metrics/prometheus").text
    name = f'flask10x_alerts_active{{kind="{wanted.kind}",rule="{wanted.kind}"}}'
    active = client.get("/api/v1/alerts").get_json()["active"]
    said = {
        "the page": Shown(client).moods[wanted.question] == wanted.mood,
        "the alert": wanted.kind in [alert["kind"] for alert in active],
        "Prometheus": f"{name} 1.0" in numbers,
    }
    assert f"{name} " in numbers
    assert said == dict.fromkeys(said, wanted.is_firing)


def test_a_disk_stays_full_until_a_point_more_is_free(home: Home, client: FlaskClient) -> None:
    free(home, 4.99)
    step(home)
    for percent, mood in ((5.99, "wrong"), (6, "good")):
        free(home, percent)
        step(home)
        assert (Shown(client).moods["card"] == "wrong") == (mood == "wrong")


def test_without_a_rule_the_page_goes_by_the_usual_one(home: Home, client: FlaskClient) -> None:
    settings = home.store.settings
    alerts = replace(settings.alerts, rules=())
    home.patch.setattr(home.store, "settings", replace(settings, alerts=alerts))
    free(home, 4.99)
    assert Shown(client).moods["card"] == "wrong"


def step(home: Home) -> None:
    """The watcher looks once."""
    store = home.store
    watches = watches_of(store.settings, store.database, store.gauges, store.queues, store.writer)
    watcher = AlertWatcher(store.settings, watches, NoDelivery())
    watcher.step()
    watcher.close()
