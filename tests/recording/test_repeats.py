"""Whether a key is known, asked before a reading is queued.

What is not known here is decided when it would be stored (`test_accepted_keys.py`).
"""

import pytest

from flask10x.database.database import Database
from flask10x.recording.accepted_keys import key_of, repeated
from flask10x.recording.writer import Writer
from flask10x.system import clock
from tests.recording.test_accepted_keys import AT, A, B, submit
from tests.recording.test_group_commit import NO_TWO
from tests.support.rows import execute

C = key_of("data", b"c")


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The wall clock: its one number can be changed."""
    now = [AT]
    monkeypatch.setattr(clock, "now_ms", lambda: now[0])
    return now


def test_a_repeat_is_recognised_once_its_reading_is_stored(
    writer: Writer, database: Database
) -> None:
    submit(writer, 1, A)
    submit(writer, 2, B)
    submit(writer, 2, "")
    assert repeated(database, {A: 0, B: 0, C: 0}) == set(), "the commit decides"
    writer.step()
    assert repeated(database, {A: 0, B: 0, C: 0}) == {A, B}
    assert repeated(database, {}) == set()


def test_the_window_counts(writer: Writer, database: Database, now: list[int]) -> None:
    submit(writer, 1, A, 60_000)
    # It is a repeat itself, and will not be stored.
    submit(writer, 1, A, 60_000, AT + 30_000)
    writer.step()
    repeats_seen = []
    for ms in (0, 59_999, 60_000, -59_999, -60_000):
        now[0] = AT + ms
        repeats_seen.append(bool(repeated(database, {A: 60_000})))
    assert repeats_seen == [True, True, False, True, False]
    assert repeated(database, {A: 0}), "without a window for ever"


def test_what_the_database_has_refused_has_no_repeat(writer: Writer, database: Database) -> None:
    execute(database.path, NO_TWO)
    submit(writer, 2, A)
    writer.step()
    assert not repeated(database, {A: 0})


def test_no_repeat_is_recognised_in_a_database_that_cannot_be_read(
    writer: Writer, database: Database
) -> None:
    submit(writer, 1, A)
    writer.step()
    execute(database.path, "ALTER TABLE accepted_keys RENAME TO other")
    assert repeated(database, {A: 0}) == set()
    execute(database.path, "ALTER TABLE other RENAME TO accepted_keys")
    assert repeated(database, {A: 0}) == {A}
