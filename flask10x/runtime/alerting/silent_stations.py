"""Rule `silence`: a station that has sent before sends no more.

When it sent last is in the gauges, by a clock that nobody can set, and counts when the reading
came. After a start of the service, or the reload that added the station, it is awaited anew: what
was before then could not be heard. Whether it is silent is told as everywhere
(`history/silence.py`).
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from sqlalchemy import Connection, Row, select

from flask10x.alerts.alert import Active, Fact, Moment, Verdict
from flask10x.config.alerts.rules import Silence
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.error_codes import reason_of
from flask10x.database.tables import measurement, readings
from flask10x.history.silence import Signs, learned_after_sec, silence
from flask10x.history.view import View
from flask10x.readings.stations import Measurement, Station
from flask10x.runtime.periodic_tasks import DATABASE_ERRORS
from flask10x.system.gauges import Gauges

log = logging.getLogger(__name__)

# How often the database is asked when stations have sent, while there is one that has not since the
# service started: an import may have brought it along. A failing card is left alone as well.
LOOK_EVERY_MS = 60_000


class StationSource(Protocol):
    """What the service knows of a station beside the gauges' times."""

    def last_received(self) -> Mapping[str, int | None]:
        """When the newest reading of each station came, in UTC epoch milliseconds; None: it has
        none. Looks into the database.
        """

    def values(self, station: Station) -> str:
        """Its newest values in words; looks into the database."""

    def learned_after_sec(self, station: Station) -> int | None:
        """After how many seconds it is silent where the rule says nothing; None: not known yet."""


class SilentStations:
    """Is firing for each station that sent nothing for `after_sec`, or for what was learned.

    Over with its next reading. One that has never sent is not missed, nor one that was silent for
    30 days when the service started.
    """

    def __init__(
        self, rule: Silence, stations: Iterable[Station], gauges: Gauges, source: StationSource
    ) -> None:
        """Nothing is looked at yet."""
        self._rule = rule
        self._stations = tuple(stations)
        self._gauges = gauges
        self._source = source
        self._last_received: Mapping[str, int | None] = {}
        self._look_at_ms = 0
        self._has_failed = False

    def step(self, now: Moment, active: Active) -> Iterable[Verdict]:
        """As `Watch`; of stations that send, and have sent, it says nothing."""
        self._look(now)
        for station in self._stations:
            yield from self._verdicts(station, now, active)

    def after_sec(self, station: Station) -> int | None:
        """After so many seconds the station is silent; None: not known yet."""
        return self._rule.after_sec or self._source.learned_after_sec(station)

    def _look(self, now: Moment) -> None:
        """Ask when those have sent that have not sent since the service started."""
        heard = (self._gauges.last_received_ms(one.endpoint) for one in self._stations)
        if now.monotonic_ms < self._look_at_ms or all(heard):
            return
        self._look_at_ms = now.monotonic_ms + LOOK_EVERY_MS
        try:
            self._last_received = self._source.last_received()
        except (*DATABASE_ERRORS, OSError) as error:
            # Those that are known are watched all the same.
            if not self._has_failed:
                log.warning("Cannot read when endpoints have sent: %s", reason_of(error))
            self._has_failed = True
            return
        self._has_failed = False

    def _verdicts(self, station: Station, now: Moment, active: Active) -> Iterator[Verdict]:
        alert = active.get((self._rule.name, station.endpoint))
        last_ms = self._gauges.last_received_ms(station.endpoint)
        last_at = self._last_received.get(station.endpoint)
        awaited_ms = None
        if last_ms:
            last_at = now.wall_ms - (now.monotonic_ms - last_ms)
        else:
            awaited_ms = now.monotonic_ms - self._gauges.awaited_since_ms(station.endpoint)
        after_sec = self.after_sec(station)
        if last_at is None or after_sec is None:
            return
        is_missed = silence(
            Signs(
                age_ms=now.wall_ms - last_at,
                awaited_ms=awaited_ms,
                after_sec=after_sec,
                is_alerted=alert is not None,
            )
        ).is_missed
        if not is_missed and alert is None:
            return
        # One of before the start is left as it is; that it was silent all the time nobody knows.
        is_firing = None if alert is not None and not last_ms else is_missed
        facts: dict[str, Fact] = {
            "last_received_at": last_at,
            "after_sec": after_sec,
            "learned": 0 if self._rule.after_sec else 1,
        }
        if is_missed and alert is None:
            facts["values"] = self._source.values(station)
        yield Verdict(
            rule=self._rule.name,
            kind="silence",
            subject=station.endpoint,
            is_firing=is_firing,
            since_ms=last_at,
            facts=facts,
        )


class StoredStations:
    """The usual source. It raises what a query raises."""

    def __init__(self, settings: Settings, database: Database, gauges: Gauges) -> None:
        """Opens nothing."""
        self._settings = settings
        self._database = database
        self._gauges = gauges

    def last_received(self) -> Mapping[str, int | None]:
        """As pages have it."""
        with self._database.query() as connection:
            return View(connection, self._settings.stations).last_received

    def values(self, station: Station) -> str:
        """`25.1 °C, 1013.2 hPa`; what is missing is left out."""
        with self._database.query() as connection:
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

    def learned_after_sec(self, station: Station) -> int | None:
        """What the periodic task has learned, and never less than the log waits."""
        learned_sec = self._gauges.learned_sec(station.endpoint)
        return learned_after_sec(self._settings, station, learned_sec) if learned_sec else None


def _newest(connection: Connection, station: Station) -> Row[Any] | None:
    at = readings.c.received_at
    columns = (readings.c.arrived_at, at, *map(measurement, station.columns))
    query = select(*columns).where(readings.c.endpoint == station.endpoint)
    return connection.execute(query.order_by(at.desc()).limit(1)).one_or_none()
