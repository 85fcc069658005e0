"""`flask10x rejected`: what a person at the shell sees and does."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flask10x.commands.rejected import command
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.readings.reasons import Reason
from flask10x.recording import rejected
from flask10x.recording.rejected import RejectedReading
from tests.support import databases
from tests.support.both_engines import no_table
from tests.support.databases import environment_of
from tests.support.rows import execute, select

AT = 1_756_000_000_000  # 2025-08-24 10:46:40 in Tokyo
MISSING = {"pressure": "required field missing"}
HALF = b'{"pressure": null, "temperature": 25.5}'


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment_of(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FLASK10X_TIMEZONE", "Asia/Tokyo")


@pytest.fixture
def filled(database: Database, settings: Settings) -> Database:
    """Three refused readings, the last with everything that could confuse a terminal."""
    odd = RejectedReading(
        "data4",
        AT + 60_000,
        "text/pl\x1bain",
        b"\x1b]0;title\x07\xff\n\xe2\x80\xae",
        {"mh_z19": "must be \u202ean object", "mq_2.voltage": "x" * 300},
        "hint\r\n2025-08-24 10:46:40 INFO faked",
    )
    readings = [
        RejectedReading("data", AT, "application/json", HALF, MISSING),
        RejectedReading(
            "data", AT + 1000, "", b"{}", MISSING | {"temperature": "required field missing"}
        ),
        odd,
    ]
    with database.commit() as connection:
        rejected.keep(connection, readings, settings)
    return database


def test_a_body_that_is_no_json_has_one_reason(database: Database, settings: Settings) -> None:
    hint = Reason("empty_body")
    missing = {name: Reason("missing") for name in ("pressure", "temperature")}
    with database.commit() as connection:
        rejected.keep(connection, [RejectedReading("data", AT, "", b"", missing, hint)], settings)
    listed = run("list").stdout
    assert listed == "1 2025-08-24 10:46:40 /data the body is empty: send one JSON object\n"
    shown = run("show", "1").stdout
    assert "required field missing" not in shown
    assert "the body is empty: send one JSON object" in shown


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def test_list_shows_the_newest_first_a_line_each(filled: Database) -> None:
    result = run("list")
    assert result.exit_code == 0
    third, second, first = result.stdout.splitlines()
    assert first == "1 2025-08-24 10:46:40 /data pressure: required field missing"
    assert second == (
        "2 2025-08-24 10:46:41 /data pressure: required field missing;"
        " temperature: required field missing"
    )
    assert third.startswith(
        r"3 2025-08-24 10:47:40 /data4 mh_z19: must be \u202ean object; mq_2.voltage: xxx"
    )
    assert third.endswith("x…")


def test_list_can_be_narrowed(filled: Database) -> None:
    assert run("list", "--endpoint", "data4").stdout.count("\n") == 1
    assert run("list", "--to", "2025-08-24 10:46:40").stdout.startswith("1 ")
    result = run("list", "--endpoint", "daat2")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "there is no 'daat2'; did you mean data2? There are: data, data2" in result.stderr
    # What is kept of a path that no station has can be asked for, too.
    execute(filled.path, "UPDATE rejected SET endpoint = 'balcony' WHERE id = 3")
    assert run("list", "--endpoint", "balcony").stdout.startswith("3 ")
    result = run("list", "--limit", "1")
    assert result.stdout.startswith("3 ")
    assert result.stderr == "flask10x: there are older ones; this shows 1\n"


def test_show_has_everything_and_plays_no_tricks(filled: Database) -> None:
    assert run("show", "3").stdout.splitlines() == [
        "id:           3",
        "received:     2025-08-24 10:47:40",
        "station:      data4",
        "stored as:    not stored",
        r"content type: text/pl\x1bain",
        r"reason:       mh_z19: must be \u202ean object",
        f"reason:       mq_2.voltage: {'x' * 300}",
        r"hint:         hint\r\n2025-08-24 10:46:40 INFO faked",
        "body:         15 bytes",
        r"              \x1b]0;title\x07\xff\n\u202e",
    ]


def test_show_gives_the_bytes_of_a_body(filled: Database) -> None:
    assert run("show", "3", "--body").stdout_bytes == b"\x1b]0;title\x07\xff\n\xe2\x80\xae"


def test_show_of_what_is_not_there(filled: Database) -> None:
    result = run("show", "4")
    assert (result.exit_code, result.stderr) == (1, "Error: there is no rejected reading 4\n")


def test_replay_after_a_change_of_settings(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run("replay")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "0 stored, 3 still rejected")
    assert "  2 × /data pressure: required field missing" in result.stdout

    monkeypatch.setenv("FLASK10X_PARTIAL_READINGS", "data=accept")
    assert run("replay", "--dry-run").stdout.startswith("1 would be stored, 2 still rejected\n")
    assert select(filled.path, "SELECT count(*) FROM readings") == [(0,)]
    assert run("replay").stdout.startswith("1 stored, 2 still rejected\n")
    assert run("replay").stdout.startswith("0 stored, 2 still rejected\n")
    assert select(filled.path, "SELECT endpoint, received_at, temperature FROM readings") == [
        ("data", AT, 25.5)
    ]
    assert run("list", "--endpoint", "data").stdout.startswith("2 ")
    assert (
        run("list", "--endpoint", "data", "--all")
        .stdout.splitlines()[1]
        .endswith("pressure: required field missing (stored as reading 1)")
    )
    assert "stored as:    reading 1" in run("show", "1").stdout


def test_replay_of_an_id_that_is_still_refused_fails(filled: Database) -> None:
    assert run("replay", "2").exit_code == 1


def test_purge_needs_an_id_or_an_option(filled: Database) -> None:
    for arguments in ([], ["--all", "--endpoint", "data"], ["1", "--all"]):
        result = run("purge", *arguments)
        assert result.exit_code == 2
        assert "say which" in result.stderr
    assert run("purge", "1", "9").stdout == "1 deleted\n"
    execute(filled.path, "UPDATE rejected SET reading_id = 5 WHERE id = 2")
    assert run("purge", "--replayed").stdout == "1 deleted\n"
    assert run("purge", "--to", "2025-08-24 10:46").stdout == "0 deleted\n"
    assert run("purge", "--all").stdout == "1 deleted\n"


def test_a_bad_time_is_named(filled: Database) -> None:
    result = run("list", "--from", "yesterday")
    assert result.exit_code == 2
    assert "Invalid value for --from: not a time" in result.stderr


def test_without_a_database_or_its_table(tmp_path: Path, database: Database) -> None:
    execute(database.path, "DROP TABLE rejected")
    result = run("list")
    assert result.exit_code == 1
    assert no_table("rejected") in result.stderr
    databases.empty(database.path)
    shell = [sys.executable, "-m", "flask10x", "rejected", "list"]
    gone = subprocess.run(shell, capture_output=True, text=True, check=False)
    assert gone.returncode == 1
    assert gone.stderr.startswith("flask10x: there is no database")


def test_an_empty_list_says_that_it_is_empty(filled: Database) -> None:
    result = run("list", "--from", "2999-01-01")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "flask10x: no rejected reading matches\n"


def test_replay_names_the_ids_that_there_are_not(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASK10X_PARTIAL_READINGS", "accept")
    result = run("replay", "1", "8", "9")
    assert result.exit_code == 1
    assert result.stdout.startswith("1 stored, 0 still rejected")
    assert result.stderr.endswith("there is no rejected reading 8, 9\n")
    again = run("replay", "1")
    assert (again.exit_code, again.stdout) == (0, "0 stored, 0 still rejected\n")
