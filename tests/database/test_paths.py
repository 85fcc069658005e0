"""Where the database lies."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from flask10x.config.settings import Settings
from flask10x.database.paths import database_path, named_path


@pytest.mark.parametrize(
    "path",
    [
        "/srv/a.sqlite3",
        "/srv/50%25 off.sqlite3",
        "/srv/a.sqlite3?mode=ro",
        "/srv/q?a=1?b",
        "/a:b@c",
    ],
)
def test_the_path_is_the_one_that_sqlalchemy_would_open(settings: Settings, path: str) -> None:
    url = f"sqlite:///{path}"

    named = named_path(replace(settings, database_url=url))

    assert str(named) == make_url(url).database


def test_links_lead_to_one_path(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    linked = replace(settings, database_url=f"sqlite:///{tmp_path}/link/a.sqlite3")

    assert database_path(linked) == (tmp_path / "disk" / "a.sqlite3").resolve()
    assert named_path(linked) == tmp_path / "link" / "a.sqlite3"
