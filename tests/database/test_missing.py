"""What counts as a database that is missing, and where its markers are."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from flask10x.config.settings import CHECKOUT, Settings
from flask10x.database import schema
from flask10x.database.paths import database_path
from flask10x.database.sqlite import missing
from flask10x.errors import DatabaseMissing
from tests.conftest import MakeSettings

pytestmark = pytest.mark.sqlite_only("a database on a server has no file that could be missing")


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the markers outside are."""
    folder = tmp_path / "outside"
    folder.mkdir()
    monkeypatch.setenv("STATE_DIRECTORY", str(folder))
    return folder


@pytest.fixture
def settings(make_settings: MakeSettings, tmp_path: Path) -> Settings:
    return make_settings(DATA_DIR=tmp_path / "data")


def names_in(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_tables_that_only_the_wal_has_are_there(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    assert missing.holds_nothing(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        assert missing.holds_nothing(path)
        connection.execute("CREATE TABLE t (x)")
        assert not missing.holds_nothing(path)
    assert not missing.holds_nothing(path)


@pytest.mark.parametrize("content", [b"x", b"no database" * 20, b"SQLite format 3\0"])
def test_what_is_no_database_is_damage_and_not_missing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.sqlite3"
    path.write_bytes(content)
    assert not missing.holds_nothing(path)


def test_only_what_was_remembered_is_missing(settings: Settings, outside: Path) -> None:
    path = database_path(settings)
    assert missing.reason(settings) == ""
    schema.upgrade(settings)
    assert missing.remember(settings)
    assert missing.reason(settings) == ""
    assert "flask10x.sqlite3.known" in names_in(path.parent)
    (marker,) = outside.iterdir()
    assert str(path) in marker.read_text()

    path.unlink()
    with pytest.raises(DatabaseMissing, match="flask10x migrate --new"):
        schema.upgrade(settings)
    assert not path.exists()
    marker.unlink()
    assert missing.reason(settings)
    path.with_name("flask10x.sqlite3.known").unlink()
    assert missing.reason(settings) == ""
    schema.upgrade(settings)


def test_a_marker_is_written_once(settings: Settings, outside: Path) -> None:
    schema.upgrade(settings)
    missing.remember(settings)
    (marker,) = outside.iterdir()
    before = marker.stat()
    missing.remember(settings)
    assert marker.stat().st_mtime_ns == before.st_mtime_ns


def test_a_new_one_leaves_the_rest_of_the_old_one(settings: Settings, outside: Path) -> None:
    schema.upgrade(settings)
    missing.remember(settings)
    path = database_path(settings)
    path.unlink()
    path.with_name(path.name + "-wal").write_bytes(b"old")
    schema.upgrade(settings, new=True)
    assert missing.reason(settings) == ""
    (kept,) = path.parent.glob("flask10x.sqlite3.replaced-*-wal")
    assert kept.read_bytes() == b"old"
    assert list(outside.iterdir())


def test_a_checkout_keeps_no_marker_outside(make_settings: MakeSettings, outside: Path) -> None:
    """A person who deletes `instance/` wants to start over."""
    settings = make_settings(DATA_DIR=CHECKOUT / "instance" / "nowhere")
    assert missing.remember(settings)
    assert list(outside.iterdir()) == []
    assert missing.reason(settings) == ""


@pytest.mark.parametrize("place", ["the data folder", "below it", "above it"])
def test_a_folder_that_goes_with_the_data_is_not_outside(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    data = settings.data_dir
    folder = {"the data folder": data, "below it": data / "state", "above it": tmp_path}[place]
    home = tmp_path / "home"
    folder.mkdir(parents=True, exist_ok=True)
    schema.upgrade(settings)
    before = names_in(folder)
    monkeypatch.setenv("STATE_DIRECTORY", str(folder))
    monkeypatch.setenv("XDG_STATE_HOME", str(home))
    assert missing.remember(settings)
    assert names_in(folder) - before <= {"flask10x.sqlite3.known", "home"}
    (marker,) = (home / "flask10x").iterdir()
    assert str(data) in marker.read_text()


def test_the_second_state_directory_of_the_unit_is_outside(
    settings: Settings, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", f"{settings.data_dir}:{outside}")
    schema.upgrade(settings)
    assert missing.remember(settings)
    assert len(list(outside.iterdir())) == 1


def test_without_a_home_only_the_marker_beside_is_left(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema.upgrade(settings)
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert not missing.remember(settings)
    database_path(settings).unlink()
    assert missing.reason(settings)
