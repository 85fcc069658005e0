"""`flask10x check` finds what everybody may read although reading needs a token."""

import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.maintenance.check import check_modes
from tests.support.databases import environment_of

FILES = (
    "flask10x.sqlite3",
    "flask10x.sqlite3-wal",
    "flask10x.sqlite3.replaced-20250824-090000",
    "leftover-20250824-090000-1a2b3c4d.jsonl",
    "logs/flask10x.log",
    "logs/flask10x.log.1",
    "backups/flask10x-20250824-090000.sqlite3",
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter; pytest's own ones, and TMPDIR perhaps, are closed."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name) / "a home"


@pytest.fixture
def settings(folder: Path) -> Settings:
    made = settings_module.load(
        {
            **environment_of(folder),
            "FLASK10X_BACKUP_DIR": str(folder / "backups"),
            "FLASK10X_READ_TOKENS_FILE": "/nowhere",
        }
    )
    for name in (*FILES, "csv/BedRoomEnv.csv"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        path.touch(mode=0o640)
    return made


def test_private_files(settings: Settings, folder: Path) -> None:
    (folder / "csv" / "BedRoomEnv.csv").chmod(0o644)
    assert str(check_modes(settings)) == "ok   modes: no file can be read without a token"


@pytest.mark.sqlite_only("the mode of a file of the database")
def test_the_command_mends_what_everybody_may_read(settings: Settings, folder: Path) -> None:
    for name in FILES:
        (folder / name).chmod(0o644)
    finding = check_modes(settings)
    assert finding.level == "WARN"
    assert shlex.join(sorted(str(folder / name) for name in FILES)) in finding.text
    assert "everybody on this machine may read 7 files" in finding.text
    command = shlex.split(finding.text.partition("run: ")[2])
    subprocess.run(command, check=True, timeout=60)
    assert check_modes(settings).level == "ok"
    assert {(folder / name).stat().st_mode & 0o777 for name in FILES} == {0o640}


def test_a_closed_folder_keeps_everybody_out(settings: Settings, folder: Path) -> None:
    (folder / FILES[0]).chmod(0o644)
    folder.chmod(0o750)
    assert check_modes(settings).level == "ok"


def test_without_read_tokens_every_mode_is_fine(settings: Settings, folder: Path) -> None:
    (folder / FILES[0]).chmod(0o644)
    finding = check_modes(replace(settings, read_tokens_file=""))
    assert str(finding) == "ok   modes: reading needs no token"
