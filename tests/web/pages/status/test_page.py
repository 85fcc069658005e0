"""The page `/status`: each trouble is provoked, and the page says what it is and what helps."""

import html
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask10x.config.alerts.rules import Silence
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.paths import database_path
from flask10x.database.sqlite.litestream import Replica, folder_beside
from flask10x.health import copies
from flask10x.health.disk import Room, room
from flask10x.readings.labels import moment
from flask10x.recording import rejected
from flask10x.recording.rejected import RejectedReading
from flask10x.recording.writer import Writer
from flask10x.runtime import periodic_tasks
from flask10x.runtime.store import Store
from flask10x.system import clock
from flask10x.system.gauges import Gauges
from flask10x.translation import translation
from flask10x.web.app import create_app
from tests.conftest import MakeSettings
from tests.support.alert_rows import AlertRows
from tests.support.both_engines import LOCKED, POSTGRES, read_lock, take_away
from tests.support.html import Outline, words
from tests.support.new_database import lay_new_database
from tests.support.outside_faults import small_disk
from tests.support.rows import execute, file_row, insert_series, pico

pytestmark = pytest.mark.usefixtures("under_systemd")
DAY_MS = 24 * 3_600_000
HOST = {"Host": "raspberrypi.local:8888"}


class Shown:
    """The page as its readers see it."""

    def __init__(self, client: FlaskClient, language: str = "en") -> None:
        answer = client.get("/status", headers=HOST | {"Accept-Language": language})
        assert answer.status_code == 200
        Outline(answer.text)
        self.text = answer.text
        found = re.findall(
            r'<section class="device answer (\w+)" aria-labelledby="(\w+)">(.*?)</section>',
            answer.text,
            re.S,
        )
        self.moods = {question: mood for mood, question, _ in found}
        self.said = {question: words(body) for _, question, body in found}
        self.commands = {
            question: [
                html.unescape(one) for one in re.findall(r"<pre[^>]*>(.*?)</pre>", body, re.S)
            ]
            for _, question, body in found
        }
        whole = re.search(r'<p class="whole (\w+)">', answer.text)
        assert whole
        self.whole = whole[1]


def in_both_languages(client: FlaskClient) -> Shown:
    """The page in English; that in Japanese says as much."""
    english, japanese = Shown(client), Shown(client, "ja")
    assert japanese.moods == english.moods
    assert japanese.commands == english.commands
    return english


@pytest.fixture
def backup(settings: Settings) -> Path:
    """A backup of today."""
    settings.backup_dir.mkdir()
    name = time.strftime("flask10x-%Y%m%d-000000.sqlite3", time.gmtime(clock.now_ms() / 1000))
    path = settings.backup_dir / name
    path.write_bytes(b"x" * 2_500_000)
    return path


def send(writer: Writer, gauges: Gauges) -> None:
    """A reading of the Pico, as when it was posted now."""
    writer.submit(pico(1, clock.now_ms()))
    writer.step()
    gauges.note_received("data", clock.monotonic_ms())


@pytest.mark.usefixtures("backup")
def test_all_is_well(client: FlaskClient, writer: Writer, gauges: Gauges) -> None:
    send(writer, gauges)
    page = in_both_languages(client)
    # Nobody has to write CSV files.
    assert page.moods == {
        "received": "good",
        "stored": "good",
        "exported": "off",
        "backed_up": "good",
        "compared": "off",
        "card": "good",
        "alerting": "good",
    }
    assert page.whole == "good"
    assert "All is well." in page.text
    assert "No data yet" not in page.said["received"]
    assert "Readings stored so far: 1" in page.said["stored"]
    assert "(2.5 MB)" in page.said["backed_up"]
    # The service does not know on which disks a server has its data.
    assert ("is on the same card" in page.said["backed_up"]) == (not POSTGRES)
    assert page.commands["stored"] == page.commands["card"] == page.commands["received"] == []


@pytest.mark.sqlite_only("Litestream replicates files of SQLite")
def test_a_replica_is_asked_for_where_there_is_one(
    client: FlaskClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "replicated" not in in_both_languages(client).moods
    changes = folder_beside(database_path(settings)) / "ltx" / "0"
    changes.mkdir(parents=True)
    (changes / "0000000000000001-0000000000000001.ltx").touch()
    page = in_both_languages(client)
    assert page.moods["replicated"] == "warn"
    assert "Litestream is not running." in page.said["replicated"]
    assert "The replica is behind" in client.get("/alerts").text
    assert f"rm -r {folder_beside(database_path(settings))}" in page.commands["replicated"][-1]
    now_ms = clock.now_ms()
    for age_ms, mood, text in (
        (1000, "good", "The replica has everything up to"),
        (3_700_000, "warn", "is not in the replica."),
    ):
        synced = Replica(is_running=True, synced_at=now_ms - age_ms)
        monkeypatch.setattr(copies, "replica", lambda _settings, synced=synced: synced)
        page = in_both_languages(client)
        assert page.moods["replicated"] == mood
        assert text in page.said["replicated"]


def test_a_new_house(client: FlaskClient) -> None:
    page = in_both_languages(client)
    assert page.moods["received"] == page.whole == "warn"
    assert page.moods["backed_up"] == "off"
    assert "There is no backup yet." in page.said["backed_up"]
    assert "Nothing has arrived yet." in page.said["received"]
    (trial,) = page.commands["received"]
    assert trial.endswith("'http://raspberrypi.local:8888/data?dry_run=1'")


# --- What comes in ---------------------------------------------------------------------------


def test_a_silent_station(client: FlaskClient, writer: Writer, gauges: Gauges) -> None:
    send(writer, gauges)
    gauges.note_received("data", clock.monotonic_ms() - 3 * 3_600_000)
    page = in_both_languages(client)
    assert page.moods["received"] == "warn"
    assert "No data from: Pico." in page.said["received"]
    # The first line says what is wrong, not only where.
    assert re.search(r"last received on \w{3} \d+ \w{3}, \d\d:\d\d ", page.said["received"])
    first = words(page.text.partition('<p class="whole warn">')[2].partition("</p>")[0])
    assert "Running, but needs attention: No data from: Pico." in first
    # One sentence after the other, also those that are headlines below.
    japanese = Shown(client, "ja").text.partition('<p class="whole warn">')[2].partition("</p>")[0]
    assert "データが届いていません: Pico。 " in f"{words(japanese)} "
    assert "Pico: no data for 3 h, last received on " in page.said["received"]
    assert 'href="/status?sensor=data#data"' in page.text


def test_a_silence_that_is_usual(client: FlaskClient, database: Database, gauges: Gauges) -> None:
    """A sensor that sends each hour, as was learned of its last days."""
    fill(database, days=3, rows_a_day=24)
    gauges.station("data").learned_sec = 3 * 3600
    for age_h, mood in ((2, "good"), (4, "warn")):
        gauges.note_received("data", clock.monotonic_ms() - age_h * 3_600_000 - 1000)
        page = in_both_languages(client)
        assert page.moods["received"] == mood, age_h
        # What is usual is no silence, in no word of the page.
        assert ("no data for" in page.said["received"]) == (mood == "warn")


def test_a_service_that_has_just_started_and_one_that_was_put_away(
    client: FlaskClient, database: Database, gauges: Gauges
) -> None:
    fill(database, days=3, rows_a_day=24)
    execute(database.path, f"UPDATE readings SET received_at = received_at - {DAY_MS}")
    page = in_both_languages(client)
    assert page.moods["received"] == "unknown"
    assert "waits for: Pico." in page.said["received"]
    execute(database.path, f"UPDATE readings SET received_at = received_at - {30 * DAY_MS}")
    page = in_both_languages(client)
    assert page.moods["received"] == "good"
    assert "no longer watched" in page.said["received"]
    assert page.commands["received"] == []


def test_rules_of_silence_that_name_stations(
    client: FlaskClient,
    store: Store,
    writer: Writer,
    gauges: Gauges,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The page misses a station when its own rule does, be that before the card of it is grey."""
    rules = (
        Silence(name="bedroom", stations=("data2",), after_sec=7200),
        Silence(after_sec=30),
    )
    alerts = replace(store.settings.alerts, rules=rules)
    monkeypatch.setattr(store, "settings", replace(store.settings, alerts=alerts))
    send(writer, gauges)
    for endpoint, age_sec in (("data", 40), ("data2", 3600)):
        gauges.note_received(endpoint, clock.monotonic_ms() - age_sec * 1000)
    page = in_both_languages(client)
    assert page.moods["received"] == "warn"
    assert "No data from: Pico." in page.said["received"]
    gauges.note_received("data", clock.monotonic_ms())
    assert in_both_languages(client).moods["received"] == "good"


def test_a_silence_that_is_alerted_of_is_missed(
    client: FlaskClient, settings: Settings, writer: Writer, gauges: Gauges
) -> None:
    """The service has run all the time, and the alert has been active for a month."""
    send(writer, gauges)
    gauges.note_received("data", clock.monotonic_ms() - 31 * DAY_MS)
    AlertRows(settings.data_dir).alert("silence", "data")
    page = in_both_languages(client)
    assert page.moods["received"] == "warn"
    assert "No data from: Pico." in page.said["received"]


def test_a_refused_reading(
    client: FlaskClient, database: Database, settings: Settings, writer: Writer, gauges: Gauges
) -> None:
    send(writer, gauges)
    for at_ms, mood in ((clock.now_ms() - 2 * DAY_MS, "good"), (clock.now_ms() - 60_000, "warn")):
        refused = RejectedReading("data2", at_ms, "", b"{}", {"co2": "required field missing"})
        with database.commit() as connection:
            rejected.keep(connection, [refused], settings)
        page = in_both_languages(client)
        assert page.moods["received"] == mood
    assert "A reading from Bedroom was rejected on" in page.said["received"]
    assert 'href="/history/rejected"' in page.text
    # What is wrong is said first, not that all is as usual.
    first = words(page.text.partition('<p class="whole warn">')[2].partition("</p>")[0])
    assert "All stations are sending, but a reading was rejected in the last day." in first
    assert "as usual" not in page.text


def test_a_late_reading_was_received_at_another_time_than_it_was_measured(
    client: FlaskClient, database: Database, gauges: Gauges
) -> None:
    now_ms = clock.now_ms()
    arrived_ms = now_ms - 3 * 3_600_000
    measured_ms = arrived_ms - 10 * 3_600_000
    execute(
        database.path,
        "INSERT INTO readings (endpoint, received_at, arrived_at, pressure, temperature)"
        f" VALUES ('data', {measured_ms}, {arrived_ms}, 1000, 20)",
    )
    gauges.station("data").awaited_since_ms = clock.monotonic_ms() - DAY_MS
    said = in_both_languages(client).said["received"]
    zone, texts = client.application.extensions["flask10x"].settings.zone, translation("en")
    received, measured = (moment(at, zone, texts, now_ms) for at in (arrived_ms, measured_ms))
    assert f"Pico: no data for 3 h, last received on {received}, measured on {measured}" in said


# --- What is stored --------------------------------------------------------------------------


def restores(commands: list[str], file: str) -> bool:
    """Whether one of them stops the service, restores this file and starts it again."""
    return any(
        re.fullmatch(
            r"sudo systemctl stop flask10x .*\n"
            rf"sudo -u \w+ \S+/flask10x restore {re.escape(file)}\n"
            r"sudo systemctl start flask10x .*",
            one,
        )
        for one in commands
    )


def test_a_damaged_database(client: FlaskClient, store: Store, backup: Path) -> None:
    store.database.damage.report("SQLITE_CORRUPT: database disk image is malformed")
    page = in_both_languages(client)
    assert page.moods["stored"] == page.whole == "wrong"
    assert "SQLITE_CORRUPT" in page.said["stored"]
    assert restores(page.commands["stored"], str(backup))


def test_a_damaged_database_without_a_backup(client: FlaskClient, store: Store) -> None:
    store.database.damage.report("SQLITE_NOTADB: file is not a database")
    assert restores(in_both_languages(client).commands["stored"], "FILE")


def test_a_database_that_cannot_be_read(
    client: FlaskClient, store: Store, writer: Writer, gauges: Gauges
) -> None:
    send(writer, gauges)
    if POSTGRES:
        take_away(store.database.path)
    else:
        store.database.close()
        store.database.path.write_bytes(b"no database" * 1000)
    page = in_both_languages(client)
    assert page.moods["received"] == page.moods["exported"] == "unknown"
    # The disk is asked without the database.
    assert page.moods["card"] == "good"
    if POSTGRES:
        assert "OperationalError" in page.said["received"]
        # Nothing has come since that could not be stored, but the next reading could not.
        assert page.moods["stored"] == page.whole == "wrong"
        assert "does not answer" in page.said["stored"]
        return
    assert "SQLITE_NOTADB" in page.said["received"]
    # To read it has met what may be damage: nothing is written until somebody has looked.
    assert page.moods["stored"] == "wrong"
    assert "is being checked" in page.said["stored"]


def test_a_file_that_was_taken_away(client: FlaskClient, store: Store, gauges: Gauges) -> None:
    store.database.damage.report(f"{store.database.path}-wal was deleted")
    gauges.taken_away = 1
    page = in_both_languages(client)
    assert "Do not stop the service" in page.said["stored"]
    assert not [one for one in page.commands["stored"] if "systemctl" in one]
    gauges.rescued = "flask10x.sqlite3.rescued-20250824-090000"
    page = in_both_languages(client)
    copy = store.database.path.with_name(gauges.rescued)
    assert restores(page.commands["stored"], str(copy))


TROUBLES = {
    "SQLITE_FULL: database or disk is full": "df -h ",
    "SQLITE_BUSY: database is locked": "sudo fuser -v ",
    "LockTimeout: the commit lock is held": "sudo fuser -v ",
    "SQLITE_READONLY_DBMOVED: attempt to write": "sudo chown -R ",
    "SQLITE_CANTOPEN: unable to open": "sudo chown -R ",
    "SQLITE_IOERR_WRITE: disk I/O error": "sudo dmesg",
    "SQLITE_ERROR: no such column": "journalctl -u flask10x",
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_what_hinders_a_commit(client: FlaskClient, writer: Writer, trouble: str) -> None:
    writer.trouble = trouble
    page = in_both_languages(client)
    assert page.moods["stored"] == "wrong"
    assert trouble in page.said["stored"]
    assert TROUBLES[trouble] in "\n".join(page.commands["stored"])


def test_other_hindrances(client: FlaskClient, store: Store, writer: Writer) -> None:
    def of(set_trouble: Callable[[], None]) -> str:
        set_trouble()
        page = in_both_languages(client)
        assert page.moods["stored"] == "wrong"
        assert page.commands["stored"]
        return page.said["stored"]

    assert "One worker cannot store" in of(lambda: setattr(store.gauges.slot(7), "trouble", 1))
    assert "has stopped" in of(lambda: setattr(writer, "dead", True))


def test_a_full_queue(client: FlaskClient, writer: Writer) -> None:
    while not writer.full:
        writer.submit(pico(1))
    page = in_both_languages(client)
    assert "5,000 are waiting" in page.said["stored"]
    assert "Waiting to be stored: 5,000" in page.said["stored"]


def test_work_beside_the_storing_that_fails(client: FlaskClient, gauges: Gauges) -> None:
    gauges.failing_since_ms[periodic_tasks.NAMES.index("roll-ups")] = 1
    page = in_both_languages(client)
    assert page.moods["stored"] == "warn"
    assert "roll-ups" in page.said["stored"]


def test_a_locked_database_does_not_delay_the_page(
    client: FlaskClient, store: Store, writer: Writer, gauges: Gauges
) -> None:
    """Also one that no reader may open: it takes a quarter of a second, and not the usual five."""
    send(writer, gauges)
    store.database.reader.dispose()
    store.database.writer.dispose()
    with read_lock(store.database.path):
        begin_sec = time.monotonic()
        page = Shown(client)
        assert time.monotonic() - begin_sec < 4
        assert page.moods["received"] == "unknown"
        assert LOCKED in page.said["received"]
    assert Shown(client).moods["received"] == "good"


def test_a_fault_of_the_program_costs_one_answer(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_folder: Path) -> Room:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr("flask10x.health.disk.room", fails)
    monkeypatch.setattr("flask10x.health.checks.room", fails)
    page = in_both_languages(client)
    assert (page.moods["card"], page.moods["stored"]) == ("unknown", "good")
    assert "ZeroDivisionError: a fault" in page.said["card"]
    assert "cannot tell of: card" in caplog.text


# --- Without a database ----------------------------------------------------------------------


@pytest.fixture
def waiting(make_settings: MakeSettings, tmp_path: Path) -> Iterator[Flask]:
    settings = make_settings(DATA_DIR=tmp_path / "data")
    app = create_app(settings, missing="there was a database")
    yield app
    app.extensions["flask10x"].close()
    made = list((tmp_path / "data").glob("alerts*"))
    assert made == [], "something was made on the wrong disk"


def test_a_missing_database(waiting: Flask, tmp_path: Path) -> None:
    client = waiting.test_client()
    page = in_both_languages(client)
    assert page.moods == {
        "received": "unknown",
        "stored": "wrong",
        "exported": "unknown",
        "backed_up": "unknown",
        "compared": "unknown",
        "card": "unknown",
        "alerting": "unknown",
    }
    assert not (tmp_path / "data").exists()
    if POSTGRES:
        assert "there was a database" in page.said["stored"]
        assert page.commands["stored"] == ["journalctl -u flask10x -n 50"]
        return
    path = tmp_path / "data" / "flask10x.sqlite3"
    assert str(path) in page.said["stored"]
    assert "sudo mount -a" in "\n".join(page.commands["stored"])
    assert page.commands["stored"][-1].endswith("flask10x migrate --new")


def test_an_alert_of_a_missing_database(make_settings: MakeSettings, tmp_path: Path) -> None:
    """People see it where the state of alerts is there."""
    app = create_app(make_settings(DATA_DIR=tmp_path), missing="there was a database")
    AlertRows(tmp_path).alert("database")
    page = in_both_languages(app.test_client())
    app.extensions["flask10x"].close()
    assert page.moods["alerting"] == "warn"
    assert "Active alerts: 1" in page.said["alerting"]


@pytest.mark.sqlite_only("files that one goes back to")
def test_a_missing_database_with_a_copy_and_a_backup(waiting: Flask, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "backups").mkdir(parents=True)
    backup = folder / "backups" / "flask10x-20250824-003500.sqlite3"
    copy = folder / "flask10x.sqlite3.rescued-20250824-090000"
    for file in (backup, copy):
        file.touch()
    page = in_both_languages(waiting.test_client())
    assert page.moods["backed_up"] == "warn"
    assert page.commands["stored"][0].endswith(f"restore {copy}")
    assert restores(page.commands["stored"], str(backup))


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_pages_that_cannot_be_shown_lead_here(
    client: FlaskClient, store: Store, waiting: Flask, language: str
) -> None:
    take_away(store.database.path)
    for asked in (client, waiting.test_client()):
        answer = asked.get("/history", headers={"Accept-Language": language})
        assert answer.status_code == 503
        assert '<a href="/status">' in re.split("<main", answer.text)[1]


# --- What follows ----------------------------------------------------------------------------


@pytest.mark.parametrize(("age_days", "mood"), [(1, "good"), (3, "warn")])
def test_an_export_that_is_late(
    client: FlaskClient, database: Database, writer: Writer, age_days: int, mood: str
) -> None:
    for at_ms in (clock.now_ms() - 5 * DAY_MS, clock.now_ms() - age_days * DAY_MS):
        writer.submit(pico(1, at_ms))
        writer.step()
    changed_ms = clock.now_ms() - 4 * DAY_MS
    execute(
        database.path,
        "UPDATE readings SET arrived_at = NULL",
        file_row(
            last_id=1,
            last_received_at=changed_ms,
            size_bytes=100,
            changed_ns=changed_ms * 1_000_000,
        ),
    )
    page = in_both_languages(client)
    assert page.moods["exported"] == mood
    assert "Pico: waiting for the next export: 1" in page.said["exported"]
    assert page.commands["exported"] == []
    assert 'href="/setup/files#export">Export now</a>' in page.text


def test_backups(
    client: FlaskClient,
    writer: Writer,
    gauges: Gauges,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send(writer, gauges)
    page = in_both_languages(client)
    # The card is amber, and the house is not worse for it in its first days.
    assert (page.moods["backed_up"], page.whole) == ("off", "good")
    assert '<span class="mood lacking">' in page.text
    assert page.said["backed_up"].startswith("Backup none yet There is no backup yet.")
    rules = words(client.get("/alerts", headers={"Accept-Language": "en"}).text)
    assert re.search(r"The newest backup is older than 3 days backup none yet", rules)
    # What there is not is not watched.
    assert "The replica is behind" not in rules
    assert "Copies of the readings differ" not in rules
    AlertRows(settings.data_dir).alert("copies")
    rules = words(client.get("/alerts", headers={"Accept-Language": "en"}).text)
    assert "Copies of the readings differ" in rules.partition("What is watched")[2]
    assert "The replica is behind" not in rules
    # The first day is over, and so is the rule's patience.
    later_ms = clock.now_ms() + 73 * 3_600_000
    monkeypatch.setattr(clock, "now_ms", lambda: later_ms)
    page = in_both_languages(client)
    assert page.moods["backed_up"] == page.whole == "warn"
    assert "There is no backup yet." in page.said["backed_up"]
    assert f"There is no backup in {settings.backup_dir}." in page.said["backed_up"]
    assert page.commands["backed_up"] == []
    assert 'href="/setup/files#backups">Back up now</a>' in page.text
    settings.backup_dir.mkdir()
    (settings.backup_dir / "flask10x-20250824-003500.sqlite3").touch()
    page = in_both_languages(client)
    assert page.moods["backed_up"] == "warn"
    assert "from Sun 24 Aug 2025, 00:35" in page.said["backed_up"]
    assert page.commands["backed_up"] == []


def test_without_the_settings_in_the_browser_there_are_commands(
    make_settings: MakeSettings, database: Database
) -> None:
    """Nobody finds a button there, so what is done each night is a line for a shell."""
    settings = make_settings(SETUP="off")
    settings.backup_dir.mkdir()
    (settings.backup_dir / "flask10x-20250824-003500.sqlite3").touch()
    app = create_app(settings)
    try:
        page = in_both_languages(app.test_client())
    finally:
        app.extensions["flask10x"].close()
    assert "/setup" not in page.text
    start, *others = page.commands["backed_up"]
    assert "systemctl enable --now flask10x-backup.timer" in start
    # Beside a database on a server it may be on another disk already.
    assert [f"pi@raspberrypi.local:{settings.backup_dir}/" in one for one in others] == (
        [] if POSTGRES else [True]
    )


def test_an_import_into_a_new_installation(
    client: FlaskClient, database: Database, writer: Writer, gauges: Gauges
) -> None:
    """A year of old readings: no backup was due before, and none of them is growth."""
    before_ms = clock.now_ms()
    at = f"{before_ms - 397 * DAY_MS} + i * {397 * DAY_MS // 2000}"
    insert_series(
        database.path, 2000, endpoint="'data'", received_at=at, pressure="1000", temperature="20"
    )
    execute(
        database.path,
        "INSERT INTO imports (endpoint, file, first_id, last_id, imported_at)"
        f" VALUES ('data', '/old/PicodataX.csv', 1, 2000, {before_ms})",
    )
    for _ in range(2):
        page = in_both_languages(client)
        assert "Backup none yet" in page.said["backed_up"]
        assert "is known after a day and 1,000 readings" in page.said["card"]
        send(writer, gauges)


def test_backups_that_the_service_may_not_read(
    client: FlaskClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.backup_dir.write_text("a file in the place of the folder")
    page = in_both_languages(client)
    assert page.moods["backed_up"] == "unknown"
    assert "NotADirectoryError" in page.said["backed_up"]


def fill(database: Database, days: int, rows_a_day: int = 1440) -> None:
    """So many days with a reading of the Pico a minute, up to now."""
    first_ms = clock.now_ms() - days * DAY_MS
    step_ms = DAY_MS // rows_a_day
    at = f"{first_ms} + (i - 1) * {step_ms}"
    insert_series(database.path, days * rows_a_day, endpoint="'data'", received_at=at, pressure="1")


@pytest.mark.parametrize(
    ("free", "mood", "said"),
    [
        (20_000_000_000, "good", "20.0 GB of 32.0 GB are free (62 %)."),
        (1_700_000_000, "good", "more than 20 years to fill up"),
        (1_500_000_000, "wrong", "nearly full: 1.5 GB of 32.0 GB are free (5 %)"),
    ],
)
def test_how_full_the_card_is(
    client: FlaskClient,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    free: int,
    mood: str,
    said: str,
) -> None:
    fill(database, days=2)
    found = Room(free, 32_000_000_000)
    monkeypatch.setattr("flask10x.health.disk.room", lambda _folder: found)
    page = in_both_languages(client)
    assert page.moods["card"] == mood
    assert said in page.said["card"]
    assert bool(page.commands["card"]) == (mood == "wrong")


@pytest.mark.sqlite_only("its file fills the card")
def test_a_card_that_is_full_soon(
    client: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database, days=2)
    # The service needs 16 MB to work.
    monkeypatch.setattr("flask10x.system.disk.SPARE_BYTES", 1_000_000)
    for free, mood, said in ((2_000_000, "warn", "it is full in"), (100_000_000, "good", "years")):
        found = Room(free, 20_000_000)
        monkeypatch.setattr("flask10x.health.disk.room", lambda _folder: found)  # noqa: B023
        page = in_both_languages(client)
        assert page.moods["card"] == mood, page.said["card"]
        assert said in page.said["card"]


def test_a_disk_that_is_really_full(make_settings: MakeSettings, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "4m") as folder:
        settings = make_settings(DATA_DIR=folder)
        lay_new_database(database_path(settings))
        app = create_app(settings)
        store: Store = app.extensions["flask10x"]
        try:
            assert Shown(app.test_client()).moods["stored"] == "good"
            (folder / "ballast").write_bytes(b"x" * room(folder).free)
            if POSTGRES:
                # What is stored goes to the disk of the server.
                store.writer.submit(pico(1))
                assert store.writer.step() == 1
                page = in_both_languages(app.test_client())
                assert (page.moods["stored"], page.moods["card"]) == ("good", "wrong")
                return
            while not store.writer.trouble:
                store.writer.submit(pico(1))
                store.writer.step()
            page = in_both_languages(app.test_client())
            assert page.moods["stored"] == page.moods["card"] == "wrong"
            assert "The card is full." in page.said["stored"]
            assert "SQLITE_FULL" in page.said["stored"]
            (folder / "ballast").unlink()
            store.writer.step()
            assert Shown(app.test_client()).moods["stored"] == "good"
        finally:
            store.close()


# --- Alerts ----------------------------------------------------------------------------------


def test_alerts(client: FlaskClient, settings: Settings) -> None:
    page = in_both_languages(client)
    assert page.moods["alerting"] == "good"
    # There is no alerts.toml.
    assert "Notifications are off" in page.said["alerting"]
    rows = AlertRows(settings.data_dir)
    rows.alert("silence", "data2")
    rows.alert("disk")
    rows.mute("silence", "data2", clock.now_ms() + DAY_MS)
    page = in_both_languages(client)
    assert page.moods["alerting"] == "warn"
    # As the number in the navigation, and as the lines below it.
    assert "Active alerts: 2" in page.said["alerting"]
    assert "disk is nearly full, since Sun 24 Aug 2025, 09:00" in page.said["alerting"]
    assert re.search(r"Bedroom\b.*, since Sun 24 Aug 2025, 09:00 \(muted\)", page.said["alerting"])
    assert 'href="/alerts#active"' in page.text.partition('id="alerting"')[2]


def test_a_message_that_does_not_arrive(client: FlaskClient, settings: Settings) -> None:
    rows = AlertRows(settings.data_dir)
    ended = rows.alert("disk", ended_ms=clock.now_ms())
    rows.message(ended, "waiting", trouble="OSError: <no way>", tries=3)
    page = in_both_languages(client)
    assert page.moods["alerting"] == "warn"
    assert "“phone” has not arrived" in page.said["alerting"]
    assert "<no way>" in page.said["alerting"]


def test_a_state_of_alerts_that_is_broken(client: FlaskClient, settings: Settings) -> None:
    rows = AlertRows(settings.data_dir)
    rows.path.write_bytes(b"no database" * 1000)
    page = in_both_languages(client)
    assert page.moods["alerting"] == "unknown"
    assert "SQLITE_NOTADB" in page.said["alerting"]
    assert page.moods["stored"] == "good"


def test_it_needs_a_token_where_reading_does(make_settings: MakeSettings, tmp_path: Path) -> None:
    tokens = tmp_path / "read"
    tokens.write_text("* read-0123456789abcdef\n")
    tokens.chmod(0o600)
    app = create_app(make_settings(READ_TOKENS_FILE=tokens), missing="there was a database")
    assert app.test_client().get("/status").status_code == 401
    app.extensions["flask10x"].close()
