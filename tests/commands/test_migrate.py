"""What commands say of a database that lacks a migration, or columns that `stations.toml` names."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from flask10x.config import settings
from flask10x.config.settings import Settings
from flask10x.database import engines, schema
from flask10x.database.insert import existing_columns
from flask10x.database.paths import shown_name, url_of
from tests.commands.test_main import run
from tests.support import databases
from tests.support.databases import environment_of
from tests.support.rows import execute, select

BALCONY = """
[stations.balcony]
label = "Balcony"
[stations.balcony.measurements.temperature]
unit = "°C"
[stations.balcony.measurements.soil_wet]
unit = "%"
[stations.balcony.measurements.soil_salt]
unit = ""
"""
# Of a program that is not there yet.
NEWER = "9999"
CO2 = """
[stations.balcony.measurements.co2]
unit = "ppm"
"""

COMMANDS = (
    "export",
    "export --dry-run",
    "export --verify",
    "export --rebuild",
    "export --take-over",
    "import PicodataX.csv",
    "rollups",
    "rollups --rebuild",
    "rejected list",
    "rejected show 1",
    "rejected replay",
    "rejected purge --all",
    "stations add --from-rejected balcony --yes",
    "verify",
    "verify --repair",
)


def test_columns_of_the_file_are_missed_and_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in environment_of(tmp_path).items():
        monkeypatch.setenv(name, value)
    file, path = tmp_path / "stations.toml", tmp_path / databases.FILE_NAME
    databases.lay_empty_database(path)
    database = shown_name(settings.load())
    assert run("migrate") == 0
    file.write_text(BALCONY, encoding="utf-8")
    capsys.readouterr()
    assert run("rollups") == 1
    assert capsys.readouterr().err == (
        f"flask10x: {database} lacks columns that {file} names: soil_wet, soil_salt;"
        " reload or restart the service, or run: flask10x migrate\n"
    )
    assert run("migrate") == 0
    added, version = capsys.readouterr().out.splitlines()
    assert added == "columns added for the stations: soil_wet, soil_salt"
    assert version.startswith(f"{database} is at version ")
    assert run("rollups") == 0
    # No new column, but a measurement that this station has not had.
    file.write_text(BALCONY + CO2, encoding="utf-8")
    capsys.readouterr()
    assert run("rollups", "--rebuild") == 1
    assert capsys.readouterr().err == (
        f"flask10x: the hourly totals are not yet those of the measurements in {file};"
        " restart the service, or run: flask10x migrate\n"
    )
    assert run("migrate") == 0
    assert run("rollups") == 0
    # Nor does a check find anything wrong with them, also when no station has them any more.
    file.unlink()
    execute(path, "INSERT INTO readings (endpoint, received_at, soil_wet) VALUES ('x', 0, 1)")
    capsys.readouterr()
    assert run("check", "--full") == 0
    assert "FAIL" not in capsys.readouterr().out


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of the environment, whose database is that of the version before the newest."""
    monkeypatch.setenv("FLASK10X_CSV_DIR", str(tmp_path / "csv"))
    monkeypatch.setenv("FLASK10X_BACKUP_DIR", str(tmp_path / "backups"))
    for name, value in environment_of(tmp_path).items():
        monkeypatch.setenv(name, value)
    config = settings.load()
    databases.lay_empty_database(tmp_path / databases.FILE_NAME)
    schema.upgrade(config)
    execute(
        tmp_path / databases.FILE_NAME,
        "INSERT INTO readings (endpoint, received_at) VALUES ('data', 0)",
    )
    schema.downgrade(config, schema.all_revisions()[-2])
    return config


@pytest.mark.parametrize("arguments", COMMANDS)
def test_an_older_database_is_named_with_the_command_that_migrates_it(
    older: Settings, capsys: pytest.CaptureFixture[str], arguments: str
) -> None:
    at, newest = schema.all_revisions()[-2], schema.all_revisions()[-1]
    assert run(*arguments.split()) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == (
        f"flask10x: {shown_name(older)} is at version {at}, and {newest} is needed: the database"
        " is older than this program; run: flask10x migrate\n"
    )


@pytest.fixture
def newer(older: Settings) -> Settings:
    """The same, whose database a newer program has migrated since."""
    schema.upgrade(older)
    path = older.data_dir / databases.FILE_NAME
    execute(path, f"UPDATE alembic_version SET version_num = '{NEWER}'")
    return older


def of_newer(place: str) -> str:
    return (
        f"flask10x: {place} is at version {NEWER}, made by a newer Flask10X; this one knows"
        f" {schema.all_revisions()[-1]}\n"
    )


@pytest.mark.parametrize("arguments", COMMANDS)
def test_no_command_works_with_a_database_of_a_newer_program(
    newer: Settings, capsys: pytest.CaptureFixture[str], arguments: str
) -> None:
    """What it writes there might be what the newer one reads otherwise."""
    before = [table_of(newer, name) for name in ("readings", "csv_files", "followers", "rejected")]
    assert run(*arguments.split()) == 1
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", of_newer(shown_name(newer)))
    assert not list(newer.csv_dir.glob("*")) and not list(newer.backup_dir.glob("*"))
    assert before == [
        table_of(newer, name) for name in ("readings", "csv_files", "followers", "rejected")
    ]


def test_a_station_adds_no_column_to_a_database_of_a_newer_program(
    newer: Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The file has the station; its column comes with the next start of the newer program."""
    (tmp_path / "body").write_text('{"soil_wet": 40.5}')
    assert run("stations", "add", "balcony", "--from-json", str(tmp_path / "body"), "--yes") == 0
    with engines.engine_of(newer).reader() as engine, engine.begin() as connection:
        assert "soil_wet" not in existing_columns(connection)
    assert "made by a newer Flask10X" in "".join(capsys.readouterr())


def table_of(config: Settings, name: str) -> list[tuple[object, ...]]:
    return select(config.data_dir / databases.FILE_NAME, f"SELECT * FROM {name}")


def test_no_end_of_a_copy_is_of_a_newer_program(
    newer: Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    other = replace(newer, database_url=f"sqlite:///{tmp_path}/other.sqlite3")
    schema.upgrade(other)
    for ends in ((newer, other), (other, newer)):
        source, target = map(url_of, ends)
        for verifies in ([], ["--verify"]):
            assert run("copy", "--from", source, "--to", target, *verifies) == 1
            assert capsys.readouterr().err in (
                of_newer(url_of(newer)),
                of_newer(shown_name(newer)),
            )


def test_a_copy_names_the_older_end(older: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    target = f"sqlite:///{older.data_dir}/copy.sqlite3"
    assert run("copy", "--from", url_of(older), "--to", target) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        f"is at version {schema.all_revisions()[-2]}, and {schema.all_revisions()[-1]} is needed:"
        in line
    )


def test_a_check_of_an_older_database_says_the_same_once(
    older: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check") == 0
    output = capsys.readouterr().out
    assert re.findall("WARN schema: .*", output) == [
        f"WARN schema: {schema.all_revisions()[-2]}; {schema.all_revisions()[-1]} is the newest:"
        " the next start of the service migrates it, or at once: flask10x migrate"
    ]
    assert "no such" not in output
    assert "does not exist" not in output


def test_an_older_database_is_migrated_without_a_loss(
    older: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("migrate") == 0
    assert run("rollups") == 0
    assert run("export") == 0
    assert "PicodataX.csv: 1 row appended" in capsys.readouterr().out


@pytest.mark.sqlite_only("a backup of a server is written in this program's own tables")
def test_a_backup_of_an_older_database_is_made_and_restored(
    older: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("backup") == 0
    (copy,) = older.backup_dir.glob("*.sqlite3")
    assert run("restore", str(copy)) == 0
    capsys.readouterr()
    assert run("export") == 0
    assert "PicodataX.csv: 1 row appended" in capsys.readouterr().out
