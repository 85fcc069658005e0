"""The only copy of removed readings: every door says that it is lost, and a copy is put back."""

import json
import subprocess
from pathlib import Path

import pytest

from flask10x.config.alerts.rules import WrongCopies
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.history import days, rollups
from flask10x.readings.stations import BUILT_IN
from flask10x.runtime.alerting.service_watches import CheckWatch
from flask10x.runtime.removal import StationRemoval
from flask10x.web.app import create_app
from tests.runtime.alerting.watches.home import Clock, Noted
from tests.support.commands import in_words, run_command
from tests.support.csv_folder import FIRST_MS, HEADER, csv_file, lines, store
from tests.support.databases import environment_of
from tests.support.html import words
from tests.support.rows import execute

PICO = BUILT_IN.by_endpoint["data"]
FIRST, SIXTH = "2025-08-24 10:00", "2025-08-24 10:46"


def flask10x(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **environment_of(settings.data_dir),
        "FLASK10X_TIMEZONE": "Asia/Tokyo",
        "FLASK10X_SYNCHRONOUS": "NORMAL",
    }
    return in_words(run_command(arguments, environment))


def follow_and_remove(settings: Settings, database: Database, before: int) -> int:
    while rollups.follow(BUILT_IN, database):
        pass
    while days.follow(BUILT_IN, database, settings.zone, rollups.save_at_once):
        pass
    station, total = StationRemoval(settings, database, PICO), 0
    while True:
        done = station.step(FIRST_MS + 1000 * before)
        total += done.readings
        if not done.is_more:
            return total


@pytest.fixture
def archive(settings: Settings, database: Database) -> Path:
    """Six removed readings in an archived file, then two that are in the table, too."""
    store(settings, *range(8))
    assert flask10x(settings, "export").returncode == 0
    place = settings.csv_dir / "2025.csv"
    csv_file(settings).rename(place)
    store(settings, 8, 9)
    assert flask10x(settings, "export").returncode == 0
    assert flask10x(settings, "export", "--archived", str(place)).returncode == 0
    assert follow_and_remove(settings, database, 6) == 6
    assert place.read_bytes() == HEADER + lines(*range(8))
    return place


def failures(settings: Settings) -> list[str]:
    """What `flask10x check` says of lost files."""
    check = flask10x(settings, "check", "--json")
    found = [
        each["text"]
        for each in json.loads(check.stdout)["findings"]
        if each["name"] == "removed" and each["level"] == "FAIL"
    ]
    assert (check.returncode == 1) == bool(found)
    return found


def lost(settings: Settings) -> list[str]:
    """The same; each of the other doors says it, too, or none."""
    found = failures(settings)
    compared = flask10x(settings, "export", "--verify")
    verified = flask10x(settings, "verify")
    exported = flask10x(settings, "export")
    assert (compared.returncode, verified.returncode) == (len(found), len(found)), verified.stdout
    assert exported.returncode == 0
    for text in found:
        assert text in compared.stderr
        assert text in exported.stderr
        assert text in verified.stdout
    app = create_app(settings)
    try:
        page = words(app.test_client().get("/status", headers={"Accept-Language": "en"}).text)
    finally:
        app.extensions["flask10x"].close()
    assert ("Copies wrong" in page) == bool(found)
    assert ("flask10x export --restore-file" in page) == bool(found)
    return found


def test_every_door_names_a_lost_file_and_a_copy_is_put_back(
    settings: Settings, archive: Path, tmp_path: Path
) -> None:
    assert lost(settings) == []
    copy = tmp_path / "stick" / "copy of 2025.csv"
    copy.parent.mkdir()
    content = archive.read_bytes()
    copy.write_bytes(content)
    archive.unlink()
    (text,) = lost(settings)
    assert text == (
        f"{archive} is gone; only this file has the removed readings of Pico, {FIRST} to {SIXTH}."
        " Put a copy back: flask10x export --restore-file COPY"
    )
    wrong = tmp_path / "other.csv"
    wrong.write_bytes(content.replace(b"992.5", b"992.6"))
    refused = flask10x(settings, "export", "--restore-file", str(wrong))
    assert refused.returncode == 1
    assert str(archive) in refused.stderr
    assert not archive.exists()
    done = flask10x(settings, "export", "--restore-file", str(copy))
    assert (done.returncode, done.stderr) == (0, "")
    assert str(archive) in done.stdout
    assert archive.read_bytes() == content
    assert lost(settings) == []
    assert "already" in flask10x(settings, "export", "--restore-file", str(copy)).stdout


def test_a_rotten_bit_is_found_by_its_checksum(
    settings: Settings, archive: Path, tmp_path: Path
) -> None:
    content = archive.read_bytes()
    archive.write_bytes(content.replace(b"992.5", b"992.6"))
    (text,) = failures(settings)
    assert text.startswith(
        f"{archive} has changed; only this file has the removed readings of Pico,"
    )
    assert f"{archive} has changed" in flask10x(settings, "export", "--verify").stderr
    verified = flask10x(settings, "verify")
    assert verified.returncode == 1
    assert verified.stdout.count(f"{archive} has changed") == 1
    copy = tmp_path / "copy.csv"
    copy.write_bytes(content)
    assert flask10x(settings, "export", "--restore-file", str(copy)).returncode == 0
    assert archive.read_bytes() == content
    assert b"992.6" in archive.with_name("2025.csv.old").read_bytes()
    assert failures(settings) == []


def test_a_file_that_is_put_back_is_as_open_as_a_new_one(
    settings: Settings, archive: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.csv"
    copy.write_bytes(archive.read_bytes())
    archive.write_bytes(HEADER)
    # With this mode nobody but root could read it again.
    archive.chmod(0)
    assert flask10x(settings, "export", "--restore-file", str(copy)).returncode == 0
    assert archive.read_bytes() == copy.read_bytes()
    assert archive.stat().st_mode == csv_file(settings).stat().st_mode


def test_a_file_whose_place_is_taken_leaves_nothing_behind(
    settings: Settings, archive: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.csv"
    copy.write_bytes(archive.read_bytes())
    archive.unlink()
    archive.mkdir()
    names = sorted(settings.csv_dir.iterdir())
    done = flask10x(settings, "export", "--restore-file", str(copy))
    assert (done.returncode, done.stdout) == (1, "")
    assert sorted(settings.csv_dir.iterdir()) == names


def test_an_older_copy_of_the_stations_file_is_completed_from_the_table(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    """It was copied before the last rows came, and lost before or after the next export."""
    store(settings, *range(8))
    assert flask10x(settings, "export").returncode == 0
    copy = tmp_path / "PicodataX.csv"
    copy.write_bytes(csv_file(settings).read_bytes())
    store(settings, 8, 9)
    assert flask10x(settings, "export").returncode == 0
    assert follow_and_remove(settings, database, 6) == 6
    whole = csv_file(settings).read_bytes()
    csv_file(settings).unlink()
    (text,) = failures(settings)
    assert text.startswith(f"{csv_file(settings)} is gone; only this file has")
    assert flask10x(settings, "export", "--restore-file", str(copy)).returncode == 0
    assert csv_file(settings).read_bytes() == whole
    assert failures(settings) == []

    csv_file(settings).unlink()
    store(settings, 10)
    assert flask10x(settings, "export").returncode == 0
    assert csv_file(settings).read_bytes() == HEADER + lines(10)
    (text,) = failures(settings)
    assert text.startswith(
        f"PicodataX.csv was moved away; only this file has the removed readings of Pico, {FIRST} to"
        f" {SIXTH}. Say where it is: flask10x export --archived FILE, or put a copy back:"
    )
    assert flask10x(settings, "export", "--restore-file", str(copy)).returncode == 0
    (place,) = settings.csv_dir.glob("PicodataX-until-*.csv")
    assert place.read_bytes() == whole
    assert csv_file(settings).read_bytes() == HEADER + lines(10)
    assert failures(settings) == []


def test_of_two_files_each_is_named_with_its_own_dates(
    settings: Settings, database: Database, archive: Path
) -> None:
    day_ms = 86_400_000
    later = FIRST_MS + day_ms
    execute(
        database.path,
        "INSERT INTO readings (endpoint, received_at, pressure, temperature) VALUES"
        + ", ".join(f"('data', {later + 1000 * n}, 1000, 25)" for n in range(3)),
    )
    assert flask10x(settings, "export").returncode == 0
    assert follow_and_remove(settings, database, 86_400 + 2) == 6
    archive.unlink()
    (first,) = failures(settings)
    assert f", {FIRST} to {SIXTH}." in first
    csv_file(settings).unlink()
    text = failures(settings)[1]
    assert text.startswith(f"{csv_file(settings)} is gone")
    assert ", 2025-08-24 10:46 to 2025-08-25 10:46." in text


def test_the_alert_about_copies_fires_for_a_lost_file(
    settings: Settings, database: Database, archive: Path
) -> None:
    clock, noted = Clock(), Noted()
    watch = CheckWatch(WrongCopies(), settings, database)
    assert noted.step(watch, clock.moment()) == []
    content = archive.read_bytes()
    archive.unlink()
    assert noted.step(watch, clock.moment(after_sec=60)) == ["+"]
    assert noted.last[""].facts["lost_files"] == 1
    archive.write_bytes(content)
    assert noted.step(watch, clock.moment(after_sec=60)) == ["-"]
