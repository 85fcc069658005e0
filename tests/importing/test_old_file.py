"""Blocks of whole lines, whatever the lines are, and the file of rejected rows."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from flask10x.importing import old_file
from flask10x.importing.old_file import blocks, first_line
from flask10x.readings.legacy_csv import Rejection
from flask10x.system.rejected_rows import RejectedRows


@given(
    st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")), max_size=30),
    st.integers(1, 40),
    st.booleans(),
)
@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_blocks_are_the_file_cut_at_line_ends(
    tmp_path: Path, lines: list[bytes], size: int, whole: bool
) -> None:
    content = b"\n".join(lines) + (b"\n" if whole else b"")
    path = tmp_path / "file"
    path.write_bytes(b"header\n" + content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(old_file, "BLOCK_BYTES", size)
        parts = list(blocks(path, 7))
        assert b"".join(block for _, block in parts) == content
        assert all(block.endswith(b"\n") for _, block in parts[:-1])
        start = 7
        for end, block in parts:
            assert end - start == len(block)
            # What is read again later is the same.
            assert b"".join(b for _, b in blocks(path, start, end)) == block
            start = end


def test_an_endless_line_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"first\n" + b"\0" * 10_000_000 + b"\nlast\n")
    parts = list(blocks(path, 0))
    assert [block.count(b"\n") for _, block in parts] == [1, 2]
    assert len(parts[1][1]) < 300_000
    assert parts[1][1].endswith(b"\nlast\n")
    assert parts[1][0] == path.stat().st_size
    assert first_line(path) == b"first\n"


def test_rejected_rows_lie_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "LR_env.csv"
    with RejectedRows(path, tmp_path / "csv") as rejected:
        rejected.write([])
        assert not rejected.path.exists()
        rejected.write([Rejection(2, "not a time: 'x'", "x,1.0"), Rejection(7, "torn", "\udcff\0")])
        rejected.write([Rejection(9, "a", '"')])
    assert rejected.count == 3
    assert (tmp_path / "LR_env.csv.rejected.csv").read_bytes() == (
        b'line,reason,row\r\n2,not a time: \'x\',"x,1.0"\r\n7,torn,\xff\0\r\n9,a,""""\r\n'
    )


def test_a_later_run_replaces_the_file(tmp_path: Path) -> None:
    path = tmp_path / "LR_env.csv"
    for line in (2, 3):
        with RejectedRows(path, tmp_path) as rejected:
            rejected.write([Rejection(line, "a", "b")])
    assert rejected.path.read_bytes() == b"line,reason,row\r\n3,a,b\r\n"
    with pytest.raises(KeyError), RejectedRows(path, tmp_path):
        raise KeyError
    assert rejected.path.exists()
    with RejectedRows(path, tmp_path):
        pass
    assert not rejected.path.exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with RejectedRows(tmp_path / "LR_env.csv", tmp_path / "data" / "csv") as rejected:
        rejected.write([Rejection(2, "a", "b")])
    assert rejected.path == tmp_path / "data" / "csv" / "LR_env.csv.rejected.csv"
    assert rejected.path.exists()
    assert not (tmp_path / "LR_env.csv.rejected.csv").exists()
