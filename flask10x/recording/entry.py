"""An entry: one reading on its way, as it lies in a queue."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # It brings SQLAlchemy, which the master of one worker does without.
    from flask10x.database.insert import Cells

WARNINGS = "warnings."
"""`warnings.<endpoint>.<path>` counts the stored readings that had a warning of that field."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One reading that waits."""

    row: "Cells"
    warned: tuple[str, ...] = ()
    """The counters that it raises once it is stored."""
    number: int = 0
    """Its number in its queue; 0 before it has one."""
    arrived_ms: int = 0
    """When it was accepted, in milliseconds of CLOCK_MONOTONIC; 0 when that is not known."""
    key: str = ""
    """By which a repeat of it is known, 32 hexadecimal digits; empty: each is a new reading."""
    repeat_window_ms: int = 0
    """For how long another one with this key is a repeat; 0: for as long as keys are kept."""

    @property
    def lasting_key(self) -> str:
        """The key that its sender has given; empty when it is known by its body, for a while."""
        return "" if self.repeat_window_ms else self.key

    @property
    def arrived_at(self) -> int:
        """When it arrived, in UTC epoch milliseconds."""
        return int(self.row.get("arrived_at") or self.row["received_at"])


def warnings_of(endpoint: str) -> str:
    """How the names of a station's counters of warnings begin."""
    return f"{WARNINGS}{endpoint}."
