"""What an alert is: the verdict of a rule, the alert that becomes of it, and its messages.

The facts of a verdict and of an alert have these names: watches fill them in, messages say them.
Every fact may be missing or None; a message then says less.

| kind | facts |
|---|---|
| silence | `last_received_at`, `after_sec`, `learned` (1 or 0), `values` (the last, as a text) |
| threshold | `value`, `unit`, `limit`, `clear`, `above` (1 or 0), `for_sec`, `measured_at` |
| rate | `value`, `before`, `unit`, `change`, `rise` (1 or 0), `within_sec`, `measured_at` |
| failed_sensor | `readings`, `last_value`, `unit`, `last_value_at`, `fault` (the number) |
| refused | `readings`, `within_sec`, `reason` (the newest), `reason_ja`, `field` |
| queue | `waiting`, `threshold`, `capacity` |
| disk | `free_bytes`, `free_percent`, `total_bytes`, `full_in_days` |
| database | `reason` |
| export | `oldest_at`, `readings`, `station` |
| backup | `newest_at` (None: there is none), `after_sec` |

All times are UTC epoch milliseconds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from flask10x.config.alerts.rules import Kind

Fact = str | float | int | None
Facts = Mapping[str, Fact]
Ended = Literal["recovered", "unwatched"]
"""`recovered`: nothing is wrong any more. `unwatched`: its rule or its station is gone; no message
says so."""
Occasion = Literal["entry", "recovery", "reminder", "limit", "test"]
MessageState = Literal["waiting", "sent", "given_up", "muted", "over_limit", "dropped"]
"""`waiting`: not sent yet. Never sent: `muted`, `over_limit`, and `dropped` where nothing watches
any more what it is about."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, by both clocks of the machine (`system/clock.py`), in milliseconds."""

    wall_ms: int
    monotonic_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What one rule says of one subject now."""

    rule: str
    """The rule's name."""
    kind: Kind
    subject: str
    """An endpoint, `endpoint.column`, or empty for the service as a whole."""
    is_firing: bool | None
    """None: it can't be decided now, so the state of before remains."""
    since_ms: int
    """Since when it is so."""
    facts: Facts = field(default_factory=dict)
    """What a message of it says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """One alert as the state file has it: from when to when something was wrong."""

    id: int
    rule: str
    kind: Kind
    subject: str
    """As in `Verdict`."""
    since_ms: int
    """Since when it was wrong."""
    firing_since_ms: int
    """When it became an alert: later than `since_ms` where a rule asks for some time."""
    ended_ms: int | None
    """None while it is active."""
    ended: Ended | None
    facts: Facts
    """Those of its entry."""
    end_facts: Facts
    """Those of its end; empty while it is active."""
    muted_until_ms: int | None
    """Until when nothing is sent of it; None when it is not muted."""
    reminded_ms: int = 0
    """When the last reminder was made, or the entry."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertMessage:
    """A message as the state file has it: by one channel, on one occasion."""

    id: int
    alert_id: int | None
    """None for a test, and for the message that the daily limit is reached."""
    occasion: Occasion
    channel: str
    created_ms: int
    due_ms: int
    """Not before this: quiet hours, or the next try."""
    tries: int
    state: MessageState
    settled_ms: int | None
    """When it got a state other than waiting."""
    trouble: str
    """Why the last try failed; empty when none has."""


Active = Mapping[tuple[str, str], Alert]
"""A rule's name and its subject -> the alert that is active of them."""


class Watch(Protocol):
    """Looks after one rule."""

    def step(self, now: Moment, active: Active) -> Iterable[Verdict]:
        """A verdict for each subject that the rule has now; quick, for it is called each second.

        Raises what reading the database raises.
        """
