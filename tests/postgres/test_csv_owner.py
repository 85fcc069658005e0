"""The CSV files belong to one of several hosts; the others refuse, and one of them takes over."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flask10x.config.settings import Settings
from flask10x.database import csv_owner
from flask10x.database.database import Database
from flask10x.errors import ExportElsewhere
from flask10x.export import only_copies
from flask10x.export.append import export
from flask10x.export.file import CsvFile
from flask10x.export.files import Position, load_files
from flask10x.export.take_over import take_over
from flask10x.export.verify import verify
from flask10x.health.checks import Checks, Facts
from flask10x.health.copies import export_lags
from flask10x.history.view import View
from flask10x.readings.stations import BUILT_IN, Stations
from flask10x.runtime.retention import outlooks
from flask10x.runtime.retention_schedule import LOOK_EVERY_MS, PAUSE_MS, Retention
from flask10x.translation import translation
from flask10x.web.pages.status.answers import shown
from tests.postgres.csv_hosts import FIRST_MS, NAME, CsvHosts, csv_hosts
from tests.support.commands import in_words, run_command

PICO = [BUILT_IN.by_endpoint["data"]]
REFUSED = (
    "the CSV files belong to the host school-1, this one is school-2 (FLASK10X_HOST_NAME): run the"
    " command there, or move the files here and run: flask10x export --take-over"
)
DAY_MS = 86_400_000


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[CsvHosts]:
    with csv_hosts(tmp_path) as found:
        yield found


def command(hosts: CsvHosts, host: str, *arguments: str) -> tuple[int, str, str]:
    done = in_words(run_command(arguments, hosts.environment(host)))
    return done.returncode, done.stdout, done.stderr


def test_the_first_host_that_exports_has_them_and_another_one_refuses(hosts: CsvHosts) -> None:
    hosts.store(0, 1)
    assert command(hosts, "school-2", "export", "--dry-run", NAME)[0] == 0
    assert command(hosts, "school-1", "export", NAME)[:2] == (
        0,
        f"{hosts.file('school-1')}: 2 rows appended\n",
    )
    hosts.store(2)
    for arguments in ([], ["--dry-run"], ["--verify"], ["--rebuild"]):
        refused = command(hosts, "school-2", "export", *arguments, NAME)
        assert refused == (1, "", f"flask10x: {REFUSED}\n")
    old = hosts.folder / "BedRoomEnv.csv"
    old.write_text("current_time,CO2,Tempereture,Humidity,Pressure,GasResistance\n")
    assert command(hosts, "school-2", "import", str(old)) == (1, "", f"flask10x: {REFUSED}\n")
    assert not hosts.file("school-2").parent.exists()
    assert command(hosts, "school-1", "export", NAME)[0] == 0
    assert hosts.lines("school-1") == 3


@pytest.mark.tools
def test_with_the_files_another_host_takes_over_and_goes_on(hosts: CsvHosts) -> None:
    hosts.store(0, 1)
    assert command(hosts, "school-1", "export")[0] == 0
    status, output, errors = command(hosts, "school-2", "export", "--take-over")
    assert (status, output) == (1, "")
    assert errors.splitlines()[0] == (
        f"{hosts.file('school-2')}: it is not here. Copy it from the host that had it, or, if it is"
        f" lost: flask10x export --take-over --rebuild {NAME}"
    )
    assert errors.splitlines()[-1] == "flask10x: the CSV files were not taken over"
    shutil.copytree(hosts.file("school-1").parent, hosts.file("school-2").parent)
    status, output, errors = command(hosts, "school-2", "export", "--take-over")
    assert (status, errors) == (0, "")
    assert output.splitlines()[0] == f"{hosts.file('school-2')}: can be gone on with"
    assert output.splitlines()[-1] == ("the CSV files belong to this host, school-2, from now on")
    hosts.store(2)
    assert command(hosts, "school-2", "export", NAME)[:2] == (
        0,
        f"{hosts.file('school-2')}: 1 row appended\n",
    )
    assert hosts.lines("school-2") == 3
    assert "belong to the host school-2" in command(hosts, "school-1", "export")[2]
    assert hosts.lines("school-1") == 2


def test_a_copy_that_is_not_what_the_last_export_left_is_not_taken_over(hosts: CsvHosts) -> None:
    hosts.store(0, 1)
    first, second = hosts.opened("school-1"), hosts.opened("school-2")
    csv_owner.claim(*first)
    export(*first, PICO)
    copied = hosts.file("school-2")
    copied.parent.mkdir()
    copied.write_bytes(hosts.file("school-1").read_bytes()[:-1])
    (outcome,) = (moved for moved in take_over(*second) if moved.path == copied)
    assert outcome.failed
    assert "it is not what the last export left" in outcome.text
    with pytest.raises(ExportElsewhere, match="belong to the host school-1"):
        csv_owner.check(*second)


@pytest.mark.tools
def test_files_that_are_lost_are_written_afresh_by_the_host_that_takes_over(
    hosts: CsvHosts,
) -> None:
    hosts.store(0, 1, 2)
    assert command(hosts, "school-1", "export", NAME)[0] == 0
    before = hosts.file("school-1").read_bytes()
    shutil.rmtree(hosts.file("school-1").parent)
    taken = command(hosts, "school-2", "export", "--take-over", "--rebuild", NAME)
    assert taken[0] == 0, taken
    assert hosts.file("school-2").read_bytes() == before
    hosts.store(3)
    assert command(hosts, "school-2", "export", NAME)[0] == 0
    assert hosts.file("school-2").read_bytes().startswith(before)
    assert hosts.lines("school-2") == 4
    assert not verify(*hosts.opened("school-2"), PICO)[0].failed


def test_there_is_nothing_to_take_over_of_a_database_that_is_a_file(tmp_path: Path) -> None:
    environment = {"FLASK10X_DATA_DIR": str(tmp_path), "FLASK10X_TIMEZONE": "Asia/Tokyo"}
    assert run_command(["migrate"], environment).returncode == 0
    done = in_words(run_command(["export", "--take-over"], environment))
    assert done.returncode == 1
    assert done.stderr == (
        "flask10x: the database is a file of this host: the CSV files are its own\n"
    )


def test_an_export_that_was_stopped_and_goes_on_overwrites_no_newer_position(
    hosts: CsvHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old owner is frozen before it appends; meanwhile another host has taken over."""
    hosts.store(0)
    first, second = hosts.opened("school-1"), hosts.opened("school-2")
    csv_owner.claim(*first)
    assert export(*first, PICO)[0].rows == 1
    hosts.store(1)
    appends = CsvFile.append

    def frozen(file: CsvFile, data: bytes, start: int) -> None:
        monkeypatch.setattr(CsvFile, "append", appends)
        shutil.copytree(hosts.file("school-1").parent, hosts.file("school-2").parent)
        assert not any(moved.failed for moved in take_over(*second))
        hosts.store(2)
        assert export(*second, PICO)[0].rows == 2
        appends(file, data, start)

    monkeypatch.setattr(CsvFile, "append", frozen)
    (outcome,) = export(*first, PICO)
    assert outcome.failed
    assert "belong to the host school-2" in outcome.text
    with second[1].reader.begin() as connection:
        assert load_files(connection).positions[NAME].last_id == 3
    assert not verify(*second, PICO)[0].failed
    assert hosts.lines("school-2") == 3


def test_two_processes_that_move_the_same_position_by_turns(
    hosts: CsvHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are of the same name, as of two containers without a name of their own."""
    hosts.store(0)
    settings, database = hosts.opened("school-1")
    appends = CsvFile.append

    def frozen(file: CsvFile, data: bytes, start: int) -> None:
        monkeypatch.setattr(CsvFile, "append", appends)
        file.path.unlink()
        assert export(settings, database, PICO)[0].rows == 1
        appends(file, data, start)

    monkeypatch.setattr(CsvFile, "append", frozen)
    (outcome,) = export(settings, database, PICO)
    assert outcome.failed
    assert outcome.text == "something else has changed the position of the file meanwhile"
    assert hosts.lines("school-1") == 1
    assert not verify(settings, database, PICO)[0].failed


def test_a_host_that_was_stopped_and_goes_on_renames_no_file(
    hosts: CsvHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file has got another name with its station, and meanwhile another host has it."""
    hosts.store(0)
    first, second = hosts.opened("school-1"), hosts.opened("school-2")
    csv_owner.claim(*first)
    export(*first, PICO)
    station = replace(PICO[0], csv_name="Pico.csv")
    renamed = replace(first[0], stations=Stations((station,)))
    hosts.file("school-1").rename(hosts.file("school-1").with_name("Pico.csv"))
    looks = Position.is_in

    def frozen(*arguments: Any) -> bool:
        monkeypatch.setattr(Position, "is_in", looks)
        with second[1].commit() as connection:
            csv_owner.give(connection, "school-2")
        return looks(*arguments)

    monkeypatch.setattr(Position, "is_in", frozen)
    (outcome,) = export(renamed, first[1], [station])
    assert outcome.failed
    assert "belong to the host school-2" in outcome.text
    assert hosts.run("SELECT name FROM csv_files") == [(NAME,)]


def test_a_file_that_is_renamed_keeps_the_history_it_is_of(hosts: CsvHosts) -> None:
    hosts.store(0)
    settings, database = hosts.opened("school-1")
    csv_owner.claim(settings, database)
    export(settings, database, PICO)
    hosts.run("UPDATE csv_files SET timeline = 77")
    station = replace(PICO[0], csv_name="Pico.csv")
    renamed = replace(settings, stations=Stations((station,)))
    hosts.file("school-1").rename(hosts.file("school-1").with_name("Pico.csv"))
    hosts.store(1)
    (outcome,) = export(renamed, database, [station])
    assert not outcome.failed
    assert "in which no row of the file is missing" in outcome.text
    assert hosts.run("SELECT name FROM csv_files") == [("Pico.csv",)]


def test_a_host_that_has_no_files_names_none(
    hosts: CsvHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one takes them over while it reads the archived file."""
    hosts.store(0)
    first, second = hosts.opened("school-1"), hosts.opened("school-2")
    csv_owner.claim(*first)
    export(*first, PICO)
    place = hosts.file("school-1").with_name("2025.csv")
    hosts.file("school-1").rename(place)
    hosts.store(1)
    export(*first, PICO)
    checksum = CsvFile.checksum

    def frozen(file: CsvFile, end: int) -> int:
        with second[1].commit() as connection:
            csv_owner.give(connection, "school-2")
        return checksum(file, end)

    monkeypatch.setattr(CsvFile, "checksum", frozen)
    with pytest.raises(ExportElsewhere, match="belong to the host school-2"):
        only_copies.name_archived(*first, place)
    assert hosts.run("SELECT path FROM csv_files WHERE kind = 'archived'") == [(None,)]


class Clocks:
    """Those of the retention of all hosts."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self.monotonic_ms = 0

    def retention(self, opened: tuple[Settings, Database]) -> Retention:
        return Retention(*opened, lambda: self.now_ms, lambda: self.monotonic_ms)


def test_only_the_host_with_the_files_removes_old_readings(hosts: CsvHosts) -> None:
    days = {"RETENTION_DAYS": 30}
    hosts.store(*range(5), at_ms=FIRST_MS)
    hosts.store(5, 6, at_ms=FIRST_MS + 40 * DAY_MS)
    first, second = hosts.opened("school-1", **days), hosts.opened("school-2", **days)
    csv_owner.claim(*first)
    export(*first)
    hosts.follow(first[1])
    clocks = Clocks(FIRST_MS + 40 * DAY_MS + 10_000)
    for opened, left in ((second, 7), (first, 2)):
        retention = clocks.retention(opened)
        for _ in range(20):
            clocks.monotonic_ms += LOOK_EVERY_MS + PAUSE_MS
            retention.step()
        assert hosts.run("SELECT count(*) FROM readings WHERE endpoint = 'data'") == [(left,)]


def test_the_page_of_another_host_says_who_removes_them(hosts: CsvHosts) -> None:
    days = {"RETENTION_DAYS": 30}
    hosts.store(0, at_ms=FIRST_MS)
    hosts.store(1, at_ms=FIRST_MS + DAY_MS)
    first, second = hosts.opened("school-1", **days), hosts.opened("school-2", **days)
    csv_owner.claim(*first)
    export(*first)
    for (settings, database), expected in ((first, None), (second, "other_host")):
        with database.reader.begin() as connection:
            (found, *_others) = outlooks(
                settings,
                database,
                View(connection, settings.stations, settings.zone, FIRST_MS + 60 * DAY_MS),
            )
        assert found.obstacle == expected


def test_the_page_of_another_host_leads_to_the_one_that_exports(hosts: CsvHosts) -> None:
    hosts.store(0)
    first, second = hosts.opened("school-1"), hosts.opened("school-2")
    csv_owner.claim(*first)
    export(*first)
    hosts.store(1)
    answers = {}
    for settings, database in (first, second):
        with database.reader.begin() as connection:
            facts = Facts(
                stored=2,
                exports=export_lags(connection, settings.stations),
                csv_host=csv_owner.of_files(connection),
            )
        now_ms = FIRST_MS + 9 * DAY_MS
        t = translation("en")
        answer = Checks(settings, facts, t, now_ms).exported()
        assert answer.level == "warn"
        (remedy,) = answer.remedies
        answers[settings.host_name] = shown(remedy, settings, t)
    assert answers["school-1"]["command"].endswith("flask10x export")
    assert (answers["school-2"]["command"], answers["school-2"]["text"]) == (
        "",
        "The host school-1 has the CSV files: see what its export says there.",
    )
