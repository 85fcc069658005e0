"""One file in trouble: what is said of it, and that the other files get theirs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database.engine import Database
from flask10x.export.append import dry_run, export
from flask10x.export.outcome import FileOutcome
from flask10x.export.rebuild import rebuild
from flask10x.export.verify import verify
from tests.support.csv_folder import HEADER, csv_file, database_file, line, store
from tests.support.rows import execute

Action = Callable[[Settings, Database], list[FileOutcome]]
ACTIONS: list[Action] = [export, dry_run, verify, rebuild]


@pytest.mark.parametrize("action", ACTIONS)
def test_a_time_that_no_calendar_has_stops_one_file_only(
    settings: Settings, database: Database, action: Action
) -> None:
    store(settings, 0, 1)
    export(settings, database)
    store(settings, 2)
    for number in (1, 3):
        beyond = f"UPDATE readings SET received_at = 9007199254740991 WHERE id = {number}"
        execute(database_file(settings), beyond)
    before = csv_file(settings).read_bytes()
    pico, *others = action(settings, database)
    assert pico.failed == (action is not dry_run)
    if pico.failed:
        assert "has a time that cannot be written" in pico.text
        assert f"reading {3 if action is export else 1} " in pico.text
    assert not any(other.failed for other in others)
    assert csv_file(settings).read_bytes() == before


@pytest.mark.parametrize("action", ACTIONS)
def test_a_link_that_leads_in_a_circle_stops_one_file_only(
    settings: Settings, database: Database, action: Action
) -> None:
    settings.csv_dir.mkdir()
    csv_file(settings).symlink_to("PicodataX.csv")
    pico, *others = action(settings, database)
    assert pico.failed
    assert pico.text == "cannot be read or written: Too many levels of symbolic links"
    assert not any(other.failed for other in others)


@pytest.mark.parametrize("action", [export, rebuild])
def test_the_file_behind_a_link_is_begun_anew(
    settings: Settings, database: Database, tmp_path: Path, action: Action
) -> None:
    """It was archived, and the link stayed."""
    settings.csv_dir.mkdir()
    csv_file(settings).symlink_to(tmp_path / "elsewhere.csv")
    store(settings, 0)
    assert not action(settings, database)[0].failed
    assert csv_file(settings).is_symlink()
    assert (tmp_path / "elsewhere.csv").read_bytes() == HEADER + line(0)
    assert "equal" in verify(settings, database)[0].text


def test_the_folder_behind_a_link_is_named(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    settings.csv_dir.mkdir()
    csv_file(settings).symlink_to(tmp_path / "mnt" / "usb.csv")
    store(settings, 0)
    pico = export(settings, database)[0]
    assert pico.failed
    missing = f"{tmp_path}/mnt/usb.csv"
    assert pico.text == f"cannot be read or written: No such file or directory: {missing}"
    assert not (tmp_path / "mnt").exists()
    (tmp_path / "mnt").mkdir()
    assert export(settings, database)[0].rows == 1
