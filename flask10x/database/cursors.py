"""Places between two rows of the order (received_at, id): where a page begins."""

import re
from dataclasses import dataclass
from typing import Literal

from flask10x.readings.reasons import Reason, WrongValue

Side = Literal["before", "after"]

# Whatever a column can hold, for a page must lead past a row that has a wrong time, too ...
MIN_CURSOR_MS, MAX_CURSOR_MS = -(2**63), 2**63 - 1
# ... and more rows than any disk holds.
MAX_CURSOR_ID = 10**18


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place between two rows of the order (received_at, id): `before:<ms>:<id>`, `after:…`."""

    side: Side
    received_at: int
    id: int

    def __str__(self) -> str:
        return f"{self.side}:{self.received_at}:{self.id}"

    @property
    def opposite(self) -> "Cursor":
        """The cursor whose rows are exactly those that this one leaves out; ids begin at 1."""
        if self.side == "before":
            return Cursor("after", self.received_at, max(self.id - 1, 0))
        return Cursor("before", self.received_at, min(self.id + 1, MAX_CURSOR_ID))


def parse_cursor(text: str) -> Cursor:
    """Reads `before:<received_at>:<id>` or `after:…`; raises WrongValue for anything else."""
    match = re.fullmatch(r"(before|after):(-?[0-9]{1,19}):([0-9]{1,19})", text)
    if not match:
        raise WrongValue(Reason("not_a_cursor"))
    received_at, number = int(match[2]), int(match[3])
    if not MIN_CURSOR_MS <= received_at <= MAX_CURSOR_MS or number > MAX_CURSOR_ID:
        raise WrongValue(Reason("not_a_cursor"))
    return Cursor("before" if match[1] == "before" else "after", received_at, number)
