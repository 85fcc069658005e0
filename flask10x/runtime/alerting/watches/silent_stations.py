"""Rule `silence`: a station that has sent before sends no more.

When it sent last is in the gauges, by a clock that nobody can set, and counts when the reading
came. After a start of the service, or the reload that added the station, it is awaited anew: what
was before then could not be heard.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from flask10x.alerts.alert import Alert
from flask10x.alerts.verdict import Active, Fact, Moment, Verdict
from flask10x.config.alerts.rules import Silence
from flask10x.database.engine import Database
from flask10x.database.error_codes import reason_of
from flask10x.database.query_limit import QueryTooLong
from flask10x.database.tables import measurement, readings
from flask10x.readings.stations import Measurement, Station
from flask10x.runtime.duties import DATABASE_ERRORS
from flask10x.runtime.facts.usual_silence import usual_silence, usual_silence_of
from flask10x.system.gauges import Gauges

log = logging.getLogger(__name__)

# What was learned is renewed when it is so old.
LEARN_EVERY_MS = 3_600_000
# One station is learned at a time, for each takes some hundredths of a second.
LEARN_PAUSE_MS = 1000
# After a look that has failed: a failing card is left alone.
FAILED_PAUSE_MS = 60_000
# A station that was silent for longer before the service started is put away, and not missed.
GONE_MS = 30 * 24 * 3_600_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """What the database knows of one station."""

    last_at: int
    """When its newest reading came, in UTC epoch milliseconds."""
    missed_after_sec: int
    """What was learned; see `UsualSilence`."""


Look = Callable[[Station], Heard | None]


class SilentStations:
    """Is firing for each station that sent nothing for `after_sec`, or for what was learned.

    Over with its next reading. One that has never sent is not missed, nor one that was silent for
    30 days when the service started.
    """

    def __init__(
        self,
        rule: Silence,
        stations: Iterable[Station],
        gauges: Gauges,
        look: Look,
        values_of: Callable[[Station], str],
    ) -> None:
        """`look` gives what is known of a station, None when it has no reading; `values_of` its
        newest values in words. Both look into the database.
        """
        self._rule = rule
        self._stations = tuple(stations)
        self._gauges = gauges
        self._look = look
        self._values_of = values_of
        self._heard: dict[str, Heard] = {}
        self._asked_ms: dict[str, int] = {}
        self._learn_at_ms: int | None = None
        self._has_failed = False

    def step(self, now: Moment, active: Active) -> Iterable[Verdict]:
        """As `Watch`; of stations that send, and have sent, it says nothing."""
        self._learn(now)
        for station in self._stations:
            yield from self._verdicts(station, now, active.get((self._rule.name, station.endpoint)))

    def missed_after_sec(self, endpoint: str) -> int | None:
        """After so many seconds the station is missed; None: not known, it has never sent."""
        heard = self._heard.get(endpoint)
        if heard is None:
            return None
        return self._rule.after_sec or heard.missed_after_sec

    def _learn(self, now: Moment) -> None:
        """Look at the station that waits longest for it, if one does."""
        if self._learn_at_ms is not None and now.monotonic_ms < self._learn_at_ms:
            return
        waiting = [one for one in self._stations if self._is_due(one, now)]
        if not waiting:
            return
        station = min(waiting, key=lambda one: self._asked_ms.get(one.endpoint, 0))
        self._learn_at_ms = now.monotonic_ms + LEARN_PAUSE_MS
        try:
            found = self._look(station)
        except (*DATABASE_ERRORS, OSError) as error:
            # Those that are known are watched all the same.
            if not self._has_failed:
                log.warning("Cannot read how often endpoints send: %s", reason_of(error))
            self._has_failed = True
            self._learn_at_ms = now.monotonic_ms + FAILED_PAUSE_MS
            return
        self._has_failed = False
        self._asked_ms[station.endpoint] = now.monotonic_ms
        if found is not None:
            self._heard[station.endpoint] = found

    def _is_due(self, station: Station, now: Moment) -> bool:
        """Whether it was never looked at, or has sent since, an hour ago or longer."""
        asked_ms = self._asked_ms.get(station.endpoint)
        if asked_ms is None:
            return True
        has_sent = self._gauges.last_received_ms(station.endpoint) > asked_ms
        if station.endpoint not in self._heard:
            # The first reading of a new station; it may take a moment to be stored.
            return has_sent and now.monotonic_ms - asked_ms >= LEARN_PAUSE_MS
        return has_sent and now.monotonic_ms - asked_ms >= LEARN_EVERY_MS

    def _verdicts(self, station: Station, now: Moment, alert: Alert | None) -> Iterator[Verdict]:
        heard = self._heard.get(station.endpoint)
        after_sec = self.missed_after_sec(station.endpoint)
        if heard is None or after_sec is None:
            return
        last_ms = self._gauges.last_received_ms(station.endpoint)
        waited_ms = now.monotonic_ms - (last_ms or self._gauges.awaited_since_ms(station.endpoint))
        last_at = now.wall_ms - waited_ms if last_ms else heard.last_at
        is_firing: bool | None = waited_ms > after_sec * 1000
        if not is_firing and alert is not None and not last_ms:
            # Awaited anew since the service started, but nothing has come.
            is_firing = None
        if is_firing and alert is None and not last_ms and not self._is_missed(last_at, now):
            is_firing = False
        if not is_firing and alert is None:
            return
        facts: dict[str, Fact] = {
            "last_received_at": last_at,
            "after_sec": after_sec,
            "learned": 0 if self._rule.after_sec else 1,
        }
        if is_firing and alert is None:
            facts["values"] = self._values_of(station)
        yield Verdict(
            rule=self._rule.name,
            kind="silence",
            subject=station.endpoint,
            is_firing=is_firing,
            since_ms=last_at,
            facts=facts,
        )

    def _is_missed(self, last_at: int, now: Moment) -> bool:
        """Whether one that was silent before the service started is not one that was put away.

        Nobody can tell while the clock stands before its last reading, as after a boot.
        """
        return 0 <= now.wall_ms - last_at <= GONE_MS


def look_into(database: Database, *, learn: bool) -> Look:
    """The usual `look`; without `learn` nothing is learned. It raises what a query raises."""

    def look(station: Station) -> Heard | None:
        with database.query() as connection:
            newest = _newest(connection, station)
        if newest is None:
            return None
        missed_after_sec = usual_silence_of(station, ()).missed_after_sec
        # Where a card is too slow for it the station is missed later, and not never.
        with suppress(QueryTooLong):
            if learn:
                with database.query() as connection:
                    usual = usual_silence(connection, station)
                missed_after_sec = usual.missed_after_sec
        last_at = newest.arrived_at or newest.received_at
        return Heard(last_at=last_at, missed_after_sec=missed_after_sec)

    return look


def newest_values(database: Database) -> Callable[[Station], str]:
    """The usual `values_of`: `25.1 °C, 1013.2 hPa`; what is missing is left out."""

    def values_of(station: Station) -> str:
        with database.query() as connection:
            newest = _newest(connection, station)
        if newest is None:
            return ""
        values: Iterable[tuple[Measurement, float | None]]
        values = zip(station.measurements, newest[2:], strict=True)
        return ", ".join(
            f"{round(value, 2):g} {measured.unit}".rstrip()
            for measured, value in values
            if value is not None
        )

    return values_of


def _newest(connection: Connection, station: Station) -> Row[Any] | None:
    at = readings.c.received_at
    columns = (readings.c.arrived_at, at, *map(measurement, station.columns))
    query = select(*columns).where(readings.c.endpoint == station.endpoint)
    return connection.execute(query.order_by(at.desc()).limit(1)).one_or_none()
