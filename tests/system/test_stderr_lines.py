"""Stderr without a reader: no line waits for it, and the next line counts those that were lost."""

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from io import StringIO

import pytest

from flask10x.system.stderr_lines import StderrLines


@pytest.fixture
def pipe() -> Iterator[tuple[int, StderrLines]]:
    """The end that is read, and the lines that go into the other one."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    with open(write, "w", encoding="utf-8") as stream:
        yield read, StderrLines(stream)
        os.close(read)


def all_of(reading: int) -> bytes:
    came = b""
    with suppress(BlockingIOError):
        while True:
            came += os.read(reading, 65536)
    return came


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("flask10x", logging.WARNING, "", 0, text, None, None)


def test_a_line_goes_out_at_once(pipe: tuple[int, StderrLines]) -> None:
    reading, lines = pipe
    lines.emit(record("部屋"))

    assert os.read(reading, 100).decode() == "部屋\n"


def test_no_line_waits_for_a_reader_and_the_lost_lines_are_counted(
    pipe: tuple[int, StderrLines],
) -> None:
    reading, lines = pipe
    for _ in range(200):
        lines.emit(record("x" * 1000))
    all_of(reading)

    lines.emit(record("again"))

    lost, last = all_of(reading).decode().splitlines()[-2:]
    assert last == "again"
    number = int(lost.split()[1])
    assert lost == f"WARNING {number} lines lost here: stderr was full"
    assert 100 < number < 200


def test_a_line_that_was_cut_ends_before_the_next(
    pipe: tuple[int, StderrLines],
) -> None:
    reading, lines = pipe
    lines.emit(record("x" * 1_000_000))
    all_of(reading)

    lines.emit(record("again"))

    assert all_of(reading).decode().startswith("\nWARNING 1 lines lost here")


def test_a_stream_without_a_descriptor_is_written_as_it_is() -> None:
    stream = StringIO()

    StderrLines(stream).emit(record("there"))

    assert stream.getvalue() == "there\n"
