"""An entry: one reading on its way, as it lies in a queue."""

from dataclasses import dataclass

from flask10x.database.rows import InsertRow


@dataclass(frozen=True, slots=True)
class Entry:
    """One reading that waits."""

    row: InsertRow
    warned: tuple[str, ...] = ()
    """The counters that it raises once it is stored."""
    number: int = 0
    """Its number in its queue; 0 before it has one."""
    arrived_ms: int = 0
    """When it was accepted, in milliseconds of CLOCK_MONOTONIC; 0 when that is not known."""
