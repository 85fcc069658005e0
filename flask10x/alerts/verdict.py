"""What the rules find, before anybody decides whether that is news."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from flask10x.alerts.alert import Alert
from flask10x.config.alerts.rules import Kind

Fact = str | float | int | None
# A rule's name and its subject -> the alert that is active of them.
Active = Mapping[tuple[str, str], Alert]


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
    """None: it can't be told now, so whatever was stays."""
    since_ms: int
    """Since when it is so, in UTC epoch milliseconds."""
    facts: Mapping[str, Fact] = field(default_factory=dict)
    """What a message of it says; which names each kind has: `alerts/facts.py`."""


class Watch(Protocol):
    """Looks after one rule."""

    def step(self, now: Moment, active: Active) -> Iterable[Verdict]:
        """A verdict for each subject that the rule has now; quick, for it is called each second.

        Raises what reading the database raises.
        """
