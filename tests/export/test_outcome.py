"""One file in trouble: what is said of it, and that the other files get theirs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export.append import dry_run, export
from flask10x.export.outcome import FileOutcome
from flask10x.export.rebuild import rebuild
from flask10x.export.verify import verify
from tests.support.csv_folder import HEADER, csv_file, database_file, line, store
from tests.support.rows import execute, select

Action = Callable[[Settings, Database], list[FileOutcome]]
ACTIONS: list[Action] = [export, dry_run, verify, rebuild]


@pytest.mark.parametrize("ms", [-(2**63), -62_135_596_800_001, 9_007_199_254_740_991, 2**63 - 1])
@pytest.mark.parametrize("action", [export, rebuild])
def test_a_reading_without_a_date_is_left_out_and_named_and_stops_no_other(
    settings: Settings, database: Database, action: Action, ms: int
) -> None:
    store(settings, 0)
    export(settings, database)
    store(settings, 1, 2)
    execute(database_file(settings), f"UPDATE readings SET received_at = {ms} WHERE id = 2")
    left_out = "; left out 1 reading without a date: 2"
    assert dry_run(settings, database)[0].text == f"1 row would be appended{left_out}"
    pico, *others = action(settings, database)
    assert not pico.failed
    assert pico.text.endswith(left_out)
    assert not any("left out" in other.text for other in others)
    lines = csv_file(settings).read_text().splitlines()[1:]
    stored = "SELECT pressure FROM readings WHERE id <> 2 ORDER BY id"
    values = [float(line.split(",")[1]) for line in lines]
    assert values == [value for (value,) in select(database_file(settings), stored)]
    for checked in (verify(settings, database), export(settings, database)):
        assert not checked[0].failed
        assert checked[0].text.endswith(left_out)


@pytest.mark.parametrize("action", ACTIONS)
def test_a_date_that_was_exported_and_then_lost_is_a_difference(
    settings: Settings, database: Database, action: Action
) -> None:
    store(settings, 0, 1)
    export(settings, database)
    execute(database_file(settings), f"UPDATE readings SET received_at = {2**60} WHERE id = 1")
    before = csv_file(settings).read_bytes()
    pico, *_ = action(settings, database)
    assert pico.failed == (action in (verify, rebuild))
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
def test_a_new_file_is_made_behind_a_link(
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
