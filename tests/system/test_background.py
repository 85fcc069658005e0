"""A command beside the service: one at a time, and how far it is and how it ended is known."""

import os
from contextlib import closing
from pathlib import Path

import pytest

from flask10x.errors import BackgroundBusy
from flask10x.system import background
from flask10x.system.background import LOCK, PROGRESS, About, Background, ProgressFile
from flask10x.system.locks import FileLock


def about(*arguments: str) -> About:
    return About(kind="backup", arguments=[*arguments], began_ms=0, browser="Firefox")


def test_it_says_what_it_said_and_how_it_ended(tmp_path: Path) -> None:
    beside = Background(tmp_path)
    assert beside.current() is None and not beside.cancel()
    for arguments, status, output, errors in (
        (["--version"], 0, "flask10x, version", ""),
        (["--nonsense"], 2, "", "No such option"),
    ):
        beside.start(about(*arguments), {"LANGUAGE": "en"}).join()
        run = beside.current()
        assert run and not run.is_running and not run.was_killed
        assert run.status == status and run.about == about(*arguments)
        assert run.output.startswith(output) and errors in run.errors
    beside.forget()
    assert beside.current() is None


def test_a_second_one_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    beside = Background(tmp_path)
    beside.start(about("--version"), {}).join()
    with closing(FileLock(beside.folder / LOCK)) as lock:
        assert lock.try_acquire()
        lock.note("1 export\n")
        ProgressFile(beside.folder).show("rows", 50, 200)
        with pytest.raises(BackgroundBusy, match="export"):
            beside.start(about("--version"), {})
        beside.forget()
        run = beside.current()
        assert run and run.is_running and run.progress
        assert (run.progress.label, run.progress.percent) == ("rows", 25)
    ended = beside.current()
    assert ended and ended.status == 0 and ended.progress is None


def test_a_cancel_while_one_begins_ends_no_other_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note of the last command has a number that the system may have given away since."""
    beside = Background(tmp_path)
    beside.start(about("--version"), {}).join()
    killed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _signal: killed.append(pid))

    def spawn(*_arguments: object) -> None:
        beside.cancel()
        raise OSError

    monkeypatch.setattr(beside, "_spawn", spawn)
    with pytest.raises(OSError):
        beside.start(about("--version"), {})
    assert not killed


def test_the_progress_is_written_at_a_pace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_sec = [100.0]
    monkeypatch.setattr(background, "monotonic", lambda: now_sec[0])
    file = ProgressFile(tmp_path)
    for done in (0, 1, 2):
        file.show("rows", done, 10)
    assert '"done": 0' in (tmp_path / PROGRESS).read_text()
    now_sec[0] += 1
    file.show("r", 3, 10)
    assert (tmp_path / PROGRESS).read_text().strip() == '{"label": "r", "done": 3, "total": 10}'
