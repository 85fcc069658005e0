"""A thread gives way to the main thread; no other one changes."""

import os
import threading

import pytest

from flask10x.system.limits import MAX_NICE, NICER_BY, give_way


def niceness() -> int:
    """Of the calling thread."""
    return os.getpriority(os.PRIO_PROCESS, 0)


def after(times: int) -> int:
    """The niceness of a new thread that gives way so often."""
    niceness_of_thread: list[int] = []

    def run() -> None:
        for _ in range(times):
            give_way()
        niceness_of_thread.append(niceness())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return niceness_of_thread[0]


@pytest.mark.parametrize("times", [1, 3])
def test_a_thread_is_nicer_than_the_main_one_however_often_it_gives_way(times: int) -> None:
    before = niceness()

    assert after(times) == min(before + NICER_BY, MAX_NICE)
    assert niceness() == before
    assert after(0) == before


def test_a_system_that_refuses_it_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise PermissionError("no")

    monkeypatch.setattr(os, "setpriority", refuse)
    assert after(1) == niceness()
