"""Reports the progress of long work to a progress bar."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Advance = Callable[[int], object]
"""Called with the amount of work that was just done."""

Bar = Callable[[str, int], AbstractContextManager[Advance]]
"""Begins a piece of work with a label and its amount; the work is the block of `with`."""


@contextmanager
def unseen(_label: str, _length: int) -> Iterator[Advance]:
    """A `Bar` that shows nothing."""
    yield lambda _: None
