"""Whether a station is silent: the one verdict of pages, programs, Prometheus, alerts and log.

| state | when |
|---|---|
| `never` | it has never sent |
| `receiving` | its last reading came within its limit |
| `awaited` | not so, but the service runs for less than that: what was before it could not hear |
| `silent` | nothing came for longer than its limit |

The limit is that of the rule `silence` that watches the station; without one, what was learned of
the station (`usual_silence.py`), and never less than the log waits (INACTIVITY_WARN_SEC). The log
has that limit alone (contract, section 4).
"""

from dataclasses import dataclass
from typing import Literal

from flask10x.config.settings import Settings
from flask10x.readings.stations import Station
from flask10x.readings.times import DAY_MS, SECOND_MS

State = Literal["receiving", "awaited", "silent", "never"]

# A station that was silent for longer before the service started was put away, and is not missed.
GONE_MS = 30 * DAY_MS


@dataclass(frozen=True, kw_only=True, slots=True)
class Signs:
    """By what it is told."""

    age_ms: int | None
    """For how long it has sent nothing; None when it never did."""
    awaited_ms: int | None
    """For how long the service has awaited it; None when it has sent since."""
    after_sec: int
    """Its limit; see `silent_after_sec`."""
    is_alerted: bool
    """Whether there is an alert of its silence: it stays until the station sends."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SilenceVerdict:
    """The verdict."""

    state: State
    age_sec: int | None
    """Whole seconds since it sent; None when it never did."""
    after_sec: int
    """After so many seconds without a reading it is silent."""
    is_missed: bool
    """Whether it is silent, and was not put away."""


def silence(signs: Signs) -> SilenceVerdict:
    """What these signs say."""
    state, is_missed = _state(signs)
    age_sec = None if signs.age_ms is None else max(0, signs.age_ms) // SECOND_MS
    return SilenceVerdict(
        state=state, age_sec=age_sec, after_sec=signs.after_sec, is_missed=is_missed
    )


def _state(signs: Signs) -> tuple[State, bool]:
    after_ms = signs.after_sec * SECOND_MS
    if signs.age_ms is None:
        return "never", False
    if signs.awaited_ms is None:
        is_silent = signs.age_ms > after_ms
        return ("silent", True) if is_silent else ("receiving", False)
    if signs.is_alerted:
        return "silent", True
    # Below 0 where the clock stands before the reading, as after a boot: then nobody can tell.
    if signs.age_ms <= after_ms:
        return "receiving", False
    if signs.age_ms > GONE_MS:
        return "silent", False
    return ("awaited", False) if signs.awaited_ms <= after_ms else ("silent", True)


def silent_after_sec(settings: Settings, station: Station, learned_sec: int | None) -> int:
    """After how long without a reading it is silent; `learned_sec`: None where nothing is yet."""
    rule = settings.alerts.silence_of(station.endpoint)
    if rule.after_sec is not None:
        return rule.after_sec
    return learned_after_sec(settings, station, learned_sec)


def learned_after_sec(settings: Settings, station: Station, learned_sec: int | None) -> int:
    """The same where a rule sets no time: what was learned, and never less than the log waits."""
    return max(station.silent_after_sec(settings.inactivity_warn_sec), learned_sec or 0)
