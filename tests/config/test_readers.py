"""The address of the database and the altitude of the house: values, and errors of wrong ones."""

from pathlib import Path
from typing import Any

import pytest

from flask10x.config import readers as module
from flask10x.config import settings
from flask10x.config.readers import WrongEntry, database_url
from flask10x.errors import SettingsError
from flask10x.readings.stations import BUILT_IN

PLACE = "FLASK10X_DATABASE_URL"


def read(raw: Any) -> str:
    """The setting with this value."""
    try:
        return database_url(raw)
    except WrongEntry as error:
        raise error.of_setting(PLACE) from None


@pytest.fixture(autouse=True)
def driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed, whether it is or not."""
    monkeypatch.setattr(module, "find_spec", lambda _name: object())


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////srv/x/flask10x.sqlite3",
        "postgresql+psycopg://flask10x@db.example/flask10x",
        "postgresql+psycopg://flask10x:a%40b:c#d@[::1]:5432/flask10x?connect_timeout=3",
        "postgresql+psycopg://flask10x@/flask10x?host=A:5432&host=B:5432",
        "postgresql+psycopg:///flask10x?host=/run/postgresql",
        "postgresql+psycopg://%2Frun%2Fpostgresql/flask10x",
        "postgresql+psycopg://?service=flask10x",
        "postgresql+psycopg://db.example?user=flask10x&dbname=flask10x",
    ],
)
def test_is_taken(url: str) -> None:
    assert read(url) == url


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("mysql://x", "'mysql://x': sqlite:////absolute/path"),
        ("", "'': sqlite:////absolute/path"),
        (5, "5: sqlite:////absolute/path"),
        ("postgres://u@db/x", "'postgres://u@db/x': it has to begin with postgresql+psycopg://"),
        ("postgresql://u@db/x", "it has to begin with postgresql+psycopg://"),
        ("postgresql+psycopg2://u@db/x", "it has to begin with postgresql+psycopg://"),
        ("postgresql+psycopg://u@db", "the database's name is missing"),
        ("postgresql+psycopg://u@db/", "the database's name is missing"),
        ("postgresql+psycopg://u@db:/x", "a port from 1 to 65535 is needed after the host's"),
        ("postgresql+psycopg://u@db:five/x", "a port from 1 to 65535 is needed"),
        ("postgresql+psycopg://u@db:65536/x", "a port from 1 to 65535 is needed"),
        ("postgresql+psycopg://u@a:1,b:2/x", "several hosts are options"),
        ("postgresql+psycopg://u@db/x/y", "postgresql+psycopg://user@host:5432/database is needed"),
    ],
)
def test_what_is_wrong_is_named(raw: Any, message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read(raw)
    assert str(raised.value).startswith(f"{PLACE} is {raw!r}: ")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgres://u:hidden@db/x",
        "postgresql+psycopg://u:hidden@db",
        "postgresql+psycopg://u:hid@den@db/x",
        "postgresql+psycopg://u:hid/den@db/x",
        "postgresql+psycopg://u:hid?den@db/x",
    ],
)
def test_a_password_is_not_shown(url: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read(url)
    assert "hid" not in str(raised.value)
    assert "den" not in str(raised.value)


def test_a_driver_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _name: None)
    with pytest.raises(SettingsError, match=r"psycopg is missing: .*flask10x\[postgres\]"):
        read("postgresql+psycopg://u:hidden@db/x")
    assert read("sqlite:////srv/x.sqlite3")


def test_a_station_of_its_own_altitude_keeps_it(tmp_path: Path) -> None:
    file = tmp_path / "stations.toml"
    file.write_text("[stations.data]\naltitude_m = 0\n", encoding="utf-8")
    loaded = settings.load({"FLASK10X_STATIONS": str(file), "FLASK10X_ALTITUDE_M": "35.5"})
    assert [s.altitude_m for s in loaded.stations.all] == [0, 35.5, 35.5, 35.5]
    assert loaded.stations.file == str(file)


def test_without_an_altitude_no_station_has_any() -> None:
    loaded = settings.load({}, stations=BUILT_IN)
    assert loaded.stations is BUILT_IN
    assert all(s.altitude_m is None for s in loaded.stations.all)
