"""One alert: from when to when something was wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from flask10x.config.alerts.rules import Kind

# `unwatched`: its rule or its station is gone; nobody is told.
Ended = Literal["recovered", "unwatched"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """One alert as the state file has it; all times are UTC epoch milliseconds."""

    id: int
    rule: str
    kind: Kind
    subject: str
    """As in `Verdict`."""
    since_ms: int
    """Since when it was wrong."""
    entered_ms: int
    """When it became an alert: later than `since_ms` where a rule asks for some time."""
    ended_ms: int | None
    """None while it is active."""
    ended: Ended | None
    facts: Mapping[str, str | float | int | None]
    """Those of its entry; see `alerts/facts.py`."""
    end_facts: Mapping[str, str | float | int | None]
    """Those of its end; empty while it is active."""
    muted_until_ms: int | None
    """Until when nothing is sent of it; None when it is not muted."""
    reminded_ms: int = 0
    """When the last reminder was made, or the entry."""
