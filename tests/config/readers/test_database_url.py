"""The address of the database: what is taken, and what is said of one that cannot be right."""

from typing import Any

import pytest

from flask10x.config import readers as module
from flask10x.config.readers import database_url
from flask10x.errors import SettingsError

PLACE = "FLASK10X_DATABASE_URL"


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
    assert database_url(PLACE, url) == url


@pytest.mark.parametrize(
    ("raw", "said"),
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
def test_what_is_wrong_is_named(raw: Any, said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        database_url(PLACE, raw)
    assert str(raised.value).startswith(f"{PLACE} is {raw!r}: ")
    assert said in str(raised.value)


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
        database_url(PLACE, url)
    assert "hid" not in str(raised.value)
    assert "den" not in str(raised.value)


def test_a_driver_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _name: None)
    with pytest.raises(SettingsError, match=r"psycopg is missing: .*flask10x\[postgres\]"):
        database_url(PLACE, "postgresql+psycopg://u:hidden@db/x")
    assert database_url(PLACE, "sqlite:////srv/x.sqlite3")
