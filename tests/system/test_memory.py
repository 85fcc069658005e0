"""Giving memory back that the C library keeps after a free."""

import ctypes
from pathlib import Path

import pytest

from flask10x.system import limits

BLOCKS, BLOCK_BYTES = 20_000, 1_000


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(limits._trim is None, reason="the C library has no malloc_trim")
def test_what_was_freed_below_something_in_use_is_given_back() -> None:
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    blocks = [ctypes.c_void_p(library.malloc(BLOCK_BYTES)) for _ in range(BLOCKS)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK_BYTES)
    for block in blocks[:-1]:
        library.free(block)
    before = resident_bytes()

    limits.give_memory_back()

    library.free(blocks[-1])
    assert before - resident_bytes() > BLOCKS * BLOCK_BYTES / 2


def test_a_library_without_it_keeps_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_trim", None)
    limits.give_memory_back()
