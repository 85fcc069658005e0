"""Whether a station is silent: the one verdict of pages, programs, Prometheus, alerts and log.

| state | when |
|---|---|
| `never` | it has never sent |
| `receiving` | its last reading arrived within its limit |
| `awaited` | it did not, but the service has not run for as long as the limit |
| `silent` | nothing has arrived for longer than its limit |

The limit is that of the rule `silence` that watches the station; without one, what was learned of
the station (`usual_silence`), and never less than the log waits (INACTIVITY_WARN_SEC). The log has
that limit alone (contract, section 4). The service learns it, and keeps it in the database for
every process.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import pairwise
from statistics import median_low
from typing import Any, Literal

from sqlalchemy import Connection, Select, select

from flask10x.config.settings import Settings
from flask10x.database import counters
from flask10x.database.tables import ARRIVAL, readings
from flask10x.readings.stations import SILENT_INTERVALS, Station
from flask10x.readings.times import DAY_MS, SECOND_MS

State = Literal["receiving", "awaited", "silent", "never"]

# A station that was silent for longer before the service started was put away and is not missed.
GONE_MS = 30 * DAY_MS


@dataclass(frozen=True, kw_only=True, slots=True)
class Signs:
    """The facts that the verdict is made of."""

    age_ms: int | None
    """How long ago it has sent; None when it never did."""
    awaited_ms: int | None
    """How long the service has waited for it; None when it has sent since the start."""
    after_sec: int
    """Its limit; see `silent_after_sec`."""
    is_alerted: bool
    """Whether an alert of its silence is active; it is until the station sends."""
    is_retired: bool = False
    """Whether `stations.toml` says that it sends no more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SilenceVerdict:
    """Whether a station is silent, and since when."""

    state: State
    age_sec: int | None
    """Whole seconds since it sent; None when it never did."""
    after_sec: int
    """It is silent after so many seconds without a reading."""
    is_missed: bool
    """Whether it is silent, and was neither put away nor retired."""


def silence(signs: Signs) -> SilenceVerdict:
    """Return the verdict of these facts."""
    state, is_missed = _state(signs)
    if signs.is_retired:
        state, is_missed = "silent" if state == "awaited" else state, False
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
    # The age is negative when the clock is behind the reading, as after a boot.
    if signs.age_ms <= after_ms:
        return "receiving", False
    if signs.age_ms > GONE_MS:
        return "silent", False
    return ("awaited", False) if signs.awaited_ms <= after_ms else ("silent", True)


def silent_after_sec(settings: Settings, station: Station, learned_sec: int | None) -> int:
    """Return after how long it is silent; `learned_sec` is None when nothing was learned yet."""
    rule = settings.alerts.silence_of(station.endpoint)
    if rule.after_sec is not None:
        return rule.after_sec
    return learned_after_sec(settings, station, learned_sec)


def learned_after_sec(settings: Settings, station: Station, learned_sec: int | None) -> int:
    """Return the limit without a rule: what was learned, and at least that of the log."""
    return max(station.silent_after_sec(settings.inactivity_warn_sec), learned_sec or 0)


LEARNED_DAYS = 7
# A week with a reading every 30 s; the last days of a station that sends more often are enough.
READINGS_MAX = 20_000
# A silence is usual when it comes on so many days: one of every night does, an outage does not.
USUAL_DAYS = 3
# Room for a night that gets longer, and for a bad hour of the Wi-Fi.
MARGIN = 1.5
# A router takes some minutes to restart, and people can't react faster.
LEAST_SEC = 600
# Fewer pauses say nothing of what is usual.
PAUSES_MIN = 5
# Of a station that is new, at least.
UNKNOWN_SEC = 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class UsualSilence:
    """What was learned of one station."""

    pauses: int
    """How many pauses between two arrivals it is learned from."""
    missed_after_sec: int
    """It is missed after so many seconds without a reading."""


def usual_silence(connection: Connection, station: Station) -> UsualSilence:
    """Return the usual silence of a station, from up to READINGS_MAX readings.

    It takes some hundredths of a second.
    """
    newest: int = connection.execute(_newest(station.endpoint)).scalar_one_or_none() or 0
    arrivals = (
        select(ARRIVAL)
        .where(readings.c.endpoint == station.endpoint)
        .where(readings.c.received_at >= newest - LEARNED_DAYS * DAY_MS)
        .order_by(readings.c.received_at.desc())
        .limit(READINGS_MAX)
    )
    return usual_silence_of(station, sorted(connection.execute(arrivals).scalars()))


# What the counter of a station begins with.
LEARNED = "usual silence of "


def learned_limits(connection: Connection) -> dict[str, int]:
    """Return the limits that the service has learned last, in seconds, by their stations.

    A station that has never sent while the service ran has none.
    """
    return counters.values_like(connection, LEARNED)


def keep_limit(connection: Connection, endpoint: str, after_sec: int) -> None:
    """Keep the limit of a station for every process."""
    counters.put(connection, LEARNED + endpoint, after_sec)


def has_sent(connection: Connection, station: Station) -> bool:
    """Return whether it has a reading, from which something can be learned."""
    return connection.execute(_newest(station.endpoint)).first() is not None


def usual_silence_of(station: Station, arrivals: Sequence[int]) -> UsualSilence:
    """Return the usual silence of a station whose readings arrived at these times, in their order.

    Those of one batch have no pause between them.
    """
    pauses: list[int] = []
    longest: defaultdict[int, int] = defaultdict(int)
    for earlier_ms, later_ms in pairwise(arrivals):
        if sec := (later_ms - earlier_ms) // SECOND_MS:
            pauses.append(sec)
            longest[later_ms // DAY_MS] = max(longest[later_ms // DAY_MS], sec)
    own_sec = SILENT_INTERVALS * (station.interval_sec or 0)
    if len(pauses) < PAUSES_MIN:
        # It may send once a day.
        known_sec = SILENT_INTERVALS * max(pauses, default=0)
        return UsualSilence(
            pauses=len(pauses), missed_after_sec=max(own_sec or UNKNOWN_SEC, LEAST_SEC, known_sec)
        )
    # The longest pause of each day or, while there are fewer days, all pauses.
    candidates = longest.values() if len(longest) >= USUAL_DAYS else pauses
    usual_longest_sec = nlargest(USUAL_DAYS, candidates)[-1]
    usual_sec = SILENT_INTERVALS * median_low(pauses)
    missed_after_sec = max(LEAST_SEC, own_sec, usual_sec, int(MARGIN * usual_longest_sec))
    return UsualSilence(pauses=len(pauses), missed_after_sec=missed_after_sec)


def _newest(endpoint: str) -> Select[Any]:
    at = readings.c.received_at
    return select(at).where(readings.c.endpoint == endpoint).order_by(at.desc()).limit(1)
