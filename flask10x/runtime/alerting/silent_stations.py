"""Rule `silence`: a station that has sent before does not send any more.

The gauges have the time of its last reading, by the monotonic clock. After a start of the service,
or the reload that added the station, the time begins again, for nothing could be received before.
The verdict is that of `history/silence.py`, as everywhere.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping

from sqlalchemy import select

from flask10x.alerts.alert import Active, Fact, Moment, Verdict
from flask10x.alerts.subjects import awaited_of
from flask10x.config.alerts.rules import Silence
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.error_codes import reason_of
from flask10x.database.tables import measurement, readings
from flask10x.history.silence import Signs, learned_after_sec, silence
from flask10x.history.view import View
from flask10x.readings.numbers import rounded
from flask10x.readings.stations import Station
from flask10x.runtime.periodic_tasks import DATABASE_ERRORS
from flask10x.system.gauges import Gauges

log = logging.getLogger(__name__)

# How often the database is queried for the last readings while some station has not sent since the
# service started: its readings may have been imported. A failing card is not read more often.
LOOK_EVERY_MS = 60_000


class SilentStations:
    """Fires for each station that sent nothing for `after_sec`, or for the learned time.

    Its next reading resolves it. A station that never sent does not count, nor one that was silent
    for 30 days when the service started.
    """

    def __init__(
        self, rule: Silence, settings: Settings, database: Database, gauges: Gauges
    ) -> None:
        """Read nothing yet."""
        self.rule = rule
        self._settings = settings
        self._stations = awaited_of(rule.stations, settings.stations)
        self._database = database
        self._gauges = gauges
        self._last_received: Mapping[str, int | None] = {}
        self._look_at_ms = 0
        self._has_failed = False

    def step(self, now: Moment, active: Active) -> Iterable[Verdict]:
        """See `Watch`; stations that send get no verdict."""
        self._look(now)
        for station in self._stations:
            yield from self._verdicts(station, now, active)

    def last_received(self) -> Mapping[str, int | None]:
        """Return when the newest reading of each station came, in UTC epoch milliseconds.

        None for a station without readings.
        """
        with self._database.query() as connection:
            return View(connection, self._settings.stations).last_received

    def values(self, station: Station) -> str:
        """Return the newest values as a text such as `25.1 °C, 1013.2 hPa`."""
        query = select(*map(measurement, station.columns))
        query = query.where(readings.c.endpoint == station.endpoint)
        with self._database.query() as connection:
            by_age = query.order_by(readings.c.received_at.desc())
            newest = connection.execute(by_age.limit(1)).one_or_none() or ()
        # A station that has never sent has no row.
        values = zip(station.measurements, newest, strict=False)
        return ", ".join(
            f"{rounded(value, measured.unit)} {measured.unit}".rstrip()
            for measured, value in values
            if value is not None
        )

    def learned_after_sec(self, station: Station) -> int | None:
        """Return what the periodic task has learned, at least the time of the log.

        None while it is not known. Makes no query.
        """
        learned_sec = self._gauges.station(station.endpoint).learned_sec
        return learned_after_sec(self._settings, station, learned_sec) if learned_sec else None

    def _look(self, now: Moment) -> None:
        """Query the last readings, while some station has not sent since the service started."""
        received = (
            self._gauges.station(station.endpoint).last_received_ms for station in self._stations
        )
        if now.monotonic_ms < self._look_at_ms or all(received):
            return
        self._look_at_ms = now.monotonic_ms + LOOK_EVERY_MS
        try:
            self._last_received = self.last_received()
        except (*DATABASE_ERRORS, OSError) as error:
            # The stations with a time in the gauges are still watched.
            if not self._has_failed:
                log.warning("Cannot read when endpoints have sent: %s", reason_of(error))
            self._has_failed = True
            return
        self._has_failed = False

    def _verdicts(self, station: Station, now: Moment, active: Active) -> Iterator[Verdict]:
        alert = active.get((self.rule.name, station.endpoint))
        last_ms = self._gauges.station(station.endpoint).last_received_ms
        last_at = self._last_received.get(station.endpoint)
        awaited_ms = None
        if last_ms:
            last_at = now.wall_ms - (now.monotonic_ms - last_ms)
        else:
            awaited_ms = now.monotonic_ms - self._gauges.station(station.endpoint).awaited_since_ms
        after_sec = self.rule.after_sec or self.learned_after_sec(station)
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
        # An alert from before the start keeps its state; the station may have sent meanwhile.
        is_firing = None if alert is not None and not last_ms else is_missed
        facts: dict[str, Fact] = {
            "last_received_at": last_at,
            "after_sec": after_sec,
            "learned": 0 if self.rule.after_sec else 1,
        }
        if is_missed and alert is None:
            facts["values"] = self.values(station)
        yield Verdict(self.rule, is_firing, last_at, facts, station.endpoint)
