"""The verdict of a rule, the alert that it leads to, and the messages of the alert.

Watches fill in the facts of a verdict, and messages show them. Every fact may be missing or None; a
message then leaves out the sentence that needs it.

| kind | facts |
|---|---|
| silence | `last_received_at`, `after_sec`, `learned` (1 or 0), `values` (the newest, as a text) |
| threshold | `value`, `unit`, `limit`, `clear`, `above` (1 or 0), `for_sec`, `measured_at` |
| rate | `value`, `before`, `unit`, `change`, `rise` (1 or 0), `within_sec`, `measured_at` |
| failed_sensor | `readings`, `last_value`, `unit`, `last_value_at`, `fault` (the number) |
| rejected | `readings`, `within_sec`, `reason` (the newest), `reason_ja`, `field` |
| queue | `waiting`, `threshold`, `capacity` |
| disk | `free_bytes`, `free_percent`, `total_bytes`, `full_in_days` |
| database | `reason` |
| export | `oldest_at`, `readings`, `station` |
| backup | `newest_at` (None: there is none), `after_sec`, `folder` (of copies that are late) |
| replica | `newest_at`, `after_sec` |
| copies | `differences`, `found_at` (of `flask10x verify`), `lost_files` (only where there are) |

All times are UTC epoch milliseconds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from flask10x.config.alerts.rules import Kind, Rule

Fact = str | float | int | None
Facts = Mapping[str, Fact]
Ended = Literal["recovered", "unwatched"]
"""`recovered`: the rule does not fire any more. `unwatched`: its rule or its station was removed,
and no message is sent."""
Occasion = Literal["entry", "recovery", "reminder", "limit", "test"]
MessageState = Literal["waiting", "sent", "given_up", "muted", "over_limit", "dropped"]
"""`waiting`: not sent yet. The others but `sent` are never sent; `dropped` is one whose alert is
not watched any more."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, by both clocks of the machine (`system/clock.py`), in milliseconds."""

    wall_ms: int
    monotonic_ms: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule decides about one subject now."""

    rule: Rule
    is_firing: bool | None
    """None: it can't be decided now, so the alert keeps its state."""
    since_ms: int
    """When it began to fire, or ceased to."""
    facts: Facts = field(default_factory=dict)
    """The values for its message."""
    subject: str = ""
    """An endpoint, `endpoint.column`, or empty for the service as a whole."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """One alert of the state file."""

    id: int = 0
    """0: it is not written yet."""
    rule: str
    kind: Kind
    subject: str
    """As in `Verdict`."""
    since_ms: int
    """When the condition of its rule began to hold."""
    firing_since_ms: int
    """When the alert fired: later than `since_ms` where its rule waits for some time."""
    ended_ms: int | None = None
    """None while it is active."""
    ended: Ended | None = None
    facts: Facts
    """The facts when it fired."""
    end_facts: Facts = field(default_factory=dict)
    """The facts when it was resolved; empty while it is active."""
    muted_until_ms: int | None = None
    """The end of its mute; None when it is not muted."""
    reminded_ms: int = 0
    """The time of the last reminder, or else when it fired."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertMessage:
    """One message of the state file, to one channel."""

    id: int
    alert_id: int | None
    """None for a test, and for the message about the daily limit."""
    rule: str
    """The name of the rule of its alert; empty without an alert."""
    occasion: Occasion
    channel: str
    created_ms: int
    due_ms: int
    """The earliest time at which it is sent: the end of quiet hours, or the next try."""
    tries: int
    state: MessageState
    settled_ms: int | None
    """When its state became other than `waiting`."""
    trouble: str
    """Why the last try failed; empty when none has."""


Active = Mapping[tuple[str, str], Alert]
"""The active alerts, by rule name and subject."""


class Watch(Protocol):
    """Evaluates one rule."""

    @property
    def rule(self) -> Rule:
        """The rule."""

    def step(self, now: Moment, active: Active) -> Iterable[Verdict]:
        """Return a verdict for each subject of the rule.

        It is called each second, so it has to be quick. Raises what a query raises.
        """
