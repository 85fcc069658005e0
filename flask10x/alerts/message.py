"""One message of an alert: to one way, on one occasion."""

from dataclasses import dataclass
from typing import Literal

Occasion = Literal["entry", "recovery", "reminder", "limit", "test"]
# `waiting`: not sent yet. Never sent: `muted`, `over_limit`, and `dropped` where nobody watches any
# more what it is about.
MessageState = Literal["waiting", "sent", "given_up", "muted", "over_limit", "dropped"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertMessage:
    """A message as the state file has it; all times are UTC epoch milliseconds."""

    id: int
    alert_id: int | None
    """None for a test, and for what is said of the daily limit."""
    occasion: Occasion
    way: str
    created_ms: int
    due_ms: int
    """Not before this: quiet hours, or the next try."""
    tries: int
    state: MessageState
    settled_ms: int | None
    """When it got a state other than waiting."""
    trouble: str
    """Why the last try failed; empty when none has."""
