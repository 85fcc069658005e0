"""A key of a table: what it may be, what it is without one, and what it becomes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """One key of a table."""

    name: str
    """As it is written in the file."""
    field: str
    """Of the class that the table becomes."""
    read: Callable[[Any], Any]
    """What `tomllib` gives -> the field's value; raises WrongEntry with the reason."""
    default: Callable[[str], Any] | None = None
    """The name of the table -> the value without the key; None: the field's own default."""
    needed: bool = False
    """Whether it must be there."""
    missing: Callable[[], str] | None = None
    """What is said when it must be there and is not; None: that it is missing."""
    fixed: bool = False
    """Whether the program keeps it for what is built in: senders and readers rely on it."""
