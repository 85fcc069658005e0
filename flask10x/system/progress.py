"""How far long work is, told to whoever shows it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Advance = Callable[[int], object]
"""Called with how much was just done."""

Bar = Callable[[str, int], AbstractContextManager[Advance]]
"""Begins a piece of work: what is worked on, and how much there is to do; the work is its block."""


@contextmanager
def unseen(_label: str, _length: int) -> Iterator[Advance]:
    """Nobody looks."""
    yield lambda _: None
