"""How the house is: one table, and each door says what the table says.

The doors are the page `/status`, `flask10x check`, `/readyz`, the alerts, the home page and the
list of rules on `/alerts`. A door that does not have a check says nothing of it; what it says of
one is the level of the table.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask.testing import FlaskClient

from flask10x.config.alerts.rules import (
    BackupOverdue,
    DatabaseTrouble,
    Disk,
    ExportOverdue,
    Queue,
    ReplicaOverdue,
    Silence,
    WrongCopies,
)
from flask10x.database import verified
from flask10x.database.running_service import Running, hold_database
from flask10x.database.sqlite import litestream
from flask10x.database.sqlite.litestream import Replica, folder_beside
from flask10x.database.verified import Difference, Result
from flask10x.export.append import export as append
from flask10x.history import days, rollups
from flask10x.maintenance.check import check
from flask10x.readings.stations import BUILT_IN
from flask10x.recording import rejected
from flask10x.recording.rejected import RejectedReading
from flask10x.runtime import periodic_tasks
from flask10x.runtime.alerting.watch_list import watches_of
from flask10x.runtime.alerting.watcher import AlertWatcher
from flask10x.runtime.periodic_tasks import PeriodicTask
from flask10x.runtime.removal import StationRemoval
from flask10x.runtime.store import Store
from flask10x.system import clock
from tests.runtime.alerting.test_watcher import NoDelivery
from tests.support.alert_rows import AlertRows
from tests.support.csv_folder import csv_file
from tests.support.html import words
from tests.support.rows import execute, pico
from tests.web.pages.status.test_page import Shown

pytestmark = pytest.mark.sqlite_only("files beside the database")

PICO = BUILT_IN.by_endpoint["data"]
NOW_MS = 1_756_000_000_000  # 2025-08-24 10:46:40 in Tokyo
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
RULES = (
    *(Silence(after_sec=3600), Disk(), DatabaseTrouble(for_sec=0), Queue(for_sec=0)),
    *(ExportOverdue(), BackupOverdue(), ReplicaOverdue(), WrongCopies()),
)
# What a check is called at each door: the question of the page, the lines of the command.
DOORS = {
    "stations": ("received", ("received",)),
    "stored": ("stored", ("service",)),
    "export": ("exported", ("exported",)),
    "backup": ("backed_up", ("backup",)),
    "replica": ("replicated", ("replica",)),
    "copies": ("compared", ("copies", "removed")),
    "disk": ("card", ("space",)),
}
# What the page calls good, off, unknown, warn and wrong is one of three words in the command.
LINES = {"good": "ok", "off": "ok", "unknown": "WARN", "warn": "WARN", "wrong": "FAIL"}


@dataclass
class House:
    """A store, and what its tests set."""

    store: Store
    patch: pytest.MonkeyPatch
    client: FlaskClient

    @property
    def path(self) -> Path:
        return self.store.database.path

    def set_rules(self, *rules: Any) -> None:
        kinds = {rule.kind for rule in rules}
        kept = tuple(rule for rule in RULES if rule.kind not in kinds)
        alerts = replace(self.store.settings.alerts, rules=(*kept, *rules))
        self.patch.setattr(self.store, "settings", replace(self.store.settings, alerts=alerts))

    def alerts(self) -> set[str]:
        """The watcher looks once; the kinds of the active alerts."""
        store = self.store
        watches = watches_of(
            store.settings, store.database, store.gauges, store.queues, store.writer
        )
        watcher = AlertWatcher(store.settings, watches, NoDelivery())
        watcher.step()
        watcher.close()
        active = self.client.get("/api/v1/alerts").get_json()["active"]
        return {alert["kind"] for alert in active}


def back_up(house: House, named_ms: int, changed_ms: int = 0) -> None:
    folder = house.store.settings.backup_dir
    for path in folder.glob("*"):
        path.unlink()
    name = time.strftime("flask10x-%Y%m%d-%H%M%S.sqlite3", time.gmtime(named_ms / 1000 + 9 * 3600))
    path = folder / name
    path.write_bytes(b"x")
    os.utime(path, ((changed_ms or named_ms) / 1000,) * 2)


def no_backup(house: House, began_ms: int) -> None:
    for path in house.store.settings.backup_dir.glob("*"):
        path.unlink()
    execute(house.path, f"UPDATE readings SET received_at = {began_ms} WHERE id = 1")
    send(house)


def free(house: House, percent: float, total: int = 32_000_000_000) -> None:
    room = SimpleNamespace(f_frsize=1, f_blocks=total, f_bavail=round(total * percent / 100))
    house.patch.setattr(os, "statvfs", lambda _folder: room)


def send(house: House, ago_ms: int = 0) -> None:
    house.store.writer.submit(pico(1, NOW_MS - ago_ms))
    house.store.writer.step()
    house.store.gauges.note_received("data", clock.monotonic_ms() - ago_ms)


def silent(house: House) -> None:
    """The board stopped two hours ago, and the service has run all the time."""
    execute(house.path, f"UPDATE readings SET received_at = {NOW_MS - 2 * HOUR_MS}")
    house.store.gauges.note_received("data", clock.monotonic_ms() - 2 * HOUR_MS)


def export(house: House, ago_ms: int) -> None:
    """An export, and a reading that has waited for the next one for so long."""
    append(house.store.settings, house.store.database, [PICO])
    execute(
        house.path,
        "INSERT INTO readings (endpoint, received_at, pressure)"
        f" VALUES ('data', {NOW_MS - ago_ms}, 1.0)",
        f"INSERT INTO readings (endpoint, received_at, pressure) VALUES ('data', {NOW_MS}, 1.0)",
    )


def put_back_older_database(house: House) -> None:
    append(house.store.settings, house.store.database, [PICO])
    execute(house.path, "UPDATE csv_files SET last_id = 99")


def empty(house: House) -> None:
    """Before the first board sends."""
    execute(house.path, "DELETE FROM readings")
    house.store.gauges.station("data").last_received_ms = 0


def reject(house: House, ago_ms: int) -> None:
    one = RejectedReading("data2", NOW_MS - ago_ms, "", b"{}", {"co2": "required field missing"})
    with house.store.database.commit() as connection:
        rejected.keep(connection, [one], house.store.settings)


def begin_two_days_ago(house: House) -> None:
    """Date the readings back, and receive one now."""
    execute(house.path, f"UPDATE readings SET received_at = {NOW_MS - 2 * DAY_MS}")
    send(house)


def replicate(house: House, ago_ms: int, *, is_running: bool = True) -> None:
    changes = folder_beside(house.path) / "ltx" / "0"
    changes.mkdir(parents=True)
    (changes / "0000000000000001-0000000000000001.ltx").touch()
    synced = Replica(is_running=is_running, synced_at=NOW_MS - ago_ms)
    house.patch.setattr(litestream, "replica_of", lambda _path: synced)


def compare(house: House, **more: Any) -> None:
    difference = Difference(**{"kind": "reading", "wrong": ("table",), **more})
    result = Result(
        finished_at=NOW_MS, seconds=1, readings=1, lines=1, hours=1, differences=(difference,)
    )
    verified.save(house.store.settings, result)


def lose(house: House) -> None:
    """The file of an export is gone, with readings that RETENTION_DAYS has removed."""
    settings, database = house.store.settings, house.store.database
    for age_days in (9, 8, 7):
        execute(
            house.path,
            "INSERT INTO readings (endpoint, received_at, pressure)"
            f" VALUES ('data', {NOW_MS - age_days * DAY_MS}, 1.0)",
        )
    execute(house.path, f"UPDATE readings SET received_at = {NOW_MS - 10 * DAY_MS} WHERE id = 1")
    send(house)
    append(settings, database, [PICO])
    while rollups.follow(BUILT_IN, database):
        pass
    while days.follow(BUILT_IN, database, settings.zone, rollups.save_at_once):
        pass
    assert StationRemoval(settings, database, PICO).step(NOW_MS - 5 * DAY_MS).readings
    csv_file(settings).unlink()


def hinder(house: House, trouble: str) -> None:
    house.store.writer.trouble = trouble


def fail(house: House) -> None:
    def broken() -> None:
        raise OSError("no")

    PeriodicTask(periodic_tasks.NAMES[0], broken, house.store.gauges).run()


def clock_falls_back(house: House) -> None:
    """An alert of a backup is active; then the machine starts with the clock of last week."""
    back_up(house, NOW_MS - 80 * HOUR_MS)
    AlertRows(house.store.settings.data_dir).alert("backup", since_ms=NOW_MS - HOUR_MS)
    house.patch.setattr(clock, "now_ms", lambda: NOW_MS - 7 * DAY_MS)
    house.patch.setattr(time, "time_ns", lambda: (NOW_MS - 7 * DAY_MS) * 1_000_000)


@dataclass(frozen=True)
class State:
    """What happens in the house, and what each check is then; what is not named is well."""

    set_up: Callable[[House], None]
    levels: dict[str, str] = field(default_factory=dict)
    alerts: set[str] = field(default_factory=set)


def sequence(*steps: Callable[[House], None]) -> Callable[[House], None]:
    def run(house: House) -> None:
        for step in steps:
            step(house)

    return run


STATES = {
    "healthy": State(lambda house: None),
    "no backup in a new house": State(lambda h: no_backup(h, NOW_MS - HOUR_MS), {"backup": "off"}),
    "no backup after four days": State(
        lambda h: no_backup(h, NOW_MS - 4 * DAY_MS), {"backup": "warn"}, {"backup"}
    ),
    "a backup 60 h old": State(lambda h: back_up(h, NOW_MS - 60 * HOUR_MS)),
    "a backup 73 h old": State(
        lambda h: back_up(h, NOW_MS - 73 * HOUR_MS), {"backup": "warn"}, {"backup"}
    ),
    "a backup 60 h old with a rule of 48 h": State(
        sequence(
            lambda h: back_up(h, NOW_MS - 60 * HOUR_MS),
            lambda h: h.set_rules(BackupOverdue(after_sec=48 * 3600)),
        ),
        {"backup": "warn"},
        {"backup"},
    ),
    "an old backup that was copied just now": State(
        lambda h: back_up(h, NOW_MS - 80 * HOUR_MS, NOW_MS), {"backup": "warn"}, {"backup"}
    ),
    "a new backup whose time was changed": State(
        lambda h: back_up(h, NOW_MS - HOUR_MS, NOW_MS - 80 * HOUR_MS)
    ),
    "a backup of next week": State(lambda h: back_up(h, NOW_MS + 7 * DAY_MS), {"backup": "off"}),
    "the clock fell back": State(clock_falls_back, {"backup": "warn"}, {"backup"}),
    "the disk nearly full": State(lambda h: free(h, 4.9), {"disk": "wrong"}, {"disk"}),
    "the disk at its limit": State(lambda h: free(h, 5.0)),
    "the disk by a rule of 20 %": State(
        sequence(lambda h: free(h, 15), lambda h: h.set_rules(Disk(free_percent=20))),
        {"disk": "wrong"},
        {"disk"},
    ),
    "a small disk without room for a backup": State(
        lambda h: free(h, 50, 32_020_000), {"disk": "warn"}
    ),
    "a small disk that is full": State(lambda h: free(h, 40, 30_000_000), {"disk": "wrong"}),
    "an export 40 h late": State(lambda h: export(h, 40 * HOUR_MS)),
    "an export 60 h late": State(lambda h: export(h, 60 * HOUR_MS), {"export": "warn"}, {"export"}),
    "no export ever, for four days": State(
        begin_two_days_ago,
        {"export": "off"},
    ),
    "a CSV file ahead of the database": State(put_back_older_database, {"export": "wrong"}),
    "a new house": State(empty, {"stations": "warn"}),
    "a silent station": State(silent, {"stations": "warn"}, {"silence"}),
    "a rejected reading": State(lambda h: reject(h, HOUR_MS), {"stations": "warn"}),
    "a rejected reading of the day before": State(lambda h: reject(h, 25 * HOUR_MS)),
    "a replica": State(lambda h: replicate(h, 1000), {"replica": "good"}),
    "a late replica": State(lambda h: replicate(h, 2 * HOUR_MS), {"replica": "warn"}, {"replica"}),
    "a replica without Litestream": State(
        lambda h: replicate(h, 1000, is_running=False), {"replica": "warn"}
    ),
    "copies that differ": State(compare, {"copies": "wrong"}, {"copies"}),
    "copies that were repaired": State(lambda h: compare(h, is_repaired=True), {"copies": "good"}),
    "the only copy lost": State(lose, {"copies": "wrong"}, {"copies"}),
    "a damaged database": State(
        lambda h: h.store.database.damage.report("SQLITE_CORRUPT: malformed"),
        {"stored": "wrong"},
        {"database"},
    ),
    "a full card": State(
        lambda h: hinder(h, "SQLITE_FULL: database or disk is full"),
        {"stored": "wrong"},
        {"database"},
    ),
    "a database that is being checked": State(
        lambda h: h.store.database.damage.suspect("SQLITE_NOTADB: file is not a database"),
        {"stored": "wrong"},
        {"database"},
    ),
    "a task that fails": State(fail, {"stored": "warn"}),
}


@pytest.fixture
def house(store: Store, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A house in which all is well: a reading of now, a backup of an hour ago, room, a service."""
    monkeypatch.setattr(clock, "now_ms", lambda: NOW_MS)
    monkeypatch.setattr(time, "time_ns", lambda: NOW_MS * 1_000_000)
    house = House(store, monkeypatch, client)
    house.set_rules()
    store.settings.backup_dir.mkdir()
    back_up(house, NOW_MS - HOUR_MS)
    free(house, 60)
    send(house)
    monkeypatch.setattr(
        Running, "ask", lambda _self, path: client.get(path).get_json() or {}, raising=True
    )
    lock = hold_database(store.settings)
    yield house
    lock.close()


@pytest.mark.parametrize("name", STATES)
def test_every_door_says_the_same(name: str, house: House) -> None:
    state = STATES[name]
    state.set_up(house)
    assert house.alerts() == state.alerts
    page = Shown(house.client)
    found = [(finding.name, finding.level) for finding in check(house.store.settings)]
    wrong = []
    for check_id, (question, lines) in DOORS.items():
        mood = page.moods.get(question)
        wanted = state.levels.get(check_id, "off" if mood in (None, "off") else "good")
        if (mood or "off") != wanted:
            wrong.append(f"/status: {check_id} is {mood}, not {wanted}")
        shown = {level for line, level in found if line in lines}
        worst = max(shown, key=("ok", "WARN", "FAIL").index, default="ok")
        if worst != LINES[wanted]:
            wrong.append(f"check: {check_id} is {worst}, not {LINES[wanted]}")
    is_stored = state.levels.get("stored") != "wrong"
    if (house.client.get("/readyz").status_code == 200) != is_stored:
        wrong.append(f"/readyz: stored is not {is_stored}")
    if ("New readings are not being stored." in house.client.get("/").text) == is_stored:
        wrong.append(f"/: stored is not {is_stored}")
    assert wrong == []


CALM: dict[str, dict[str, str | None]] = {
    "healthy": {"backup": "all clear", "replica": None, "copies": None},
    "no backup in a new house": {"backup": "none yet"},
    "a replica": {"replica": "all clear"},
    "copies that were repaired": {"copies": "all clear"},
    "copies that differ": {"copies": "active"},
}


@pytest.mark.parametrize("name", CALM)
def test_a_rule_that_watches_nothing_is_not_all_clear(name: str, house: House) -> None:
    STATES[name].set_up(house)
    house.alerts()
    text = words(house.client.get("/alerts", headers={"Accept-Language": "en"}).text)
    watched = text.partition("What is watched")[2]
    for rule, state in CALM[name].items():
        if state is None:
            # There is nothing that it could watch.
            assert f" {rule} " not in watched
        else:
            assert f" {rule} {state} " in watched, rule
