"""Silence: how long a station has sent nothing, and its lines in the log (contract, 4 and 6.5).

The gauges have the time of the last reading of a station, by the monotonic clock. For the log
silence counts at the earliest from the start of the service, or from the reload that added the
station, for nothing could be received before. The database is only queried for the stations that
have ever sent; one that never did is not silent.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.error_codes import QueryTooLong, reason_of
from flask10x.history.silence import (
    PAUSES_MIN,
    Signs,
    SilenceVerdict,
    UsualSilence,
    has_sent,
    keep_limit,
    learned_limits,
    silence,
    silent_after_sec,
    usual_silence,
    usual_silence_of,
)
from flask10x.readings.stations import Station
from flask10x.readings.times import SECOND_MS
from flask10x.runtime.periodic_tasks import DATABASE_ERRORS
from flask10x.system.clock import monotonic_ms, now_ms
from flask10x.system.gauges import Gauges, StationTimes

# How often a limit is learned again; one that is learned of fewer than PAUSES_MIN pauses, with each
# reading.
LEARN_EVERY_MS = 3_600_000
# The pause between two stations, for each takes some hundredths of a second.
LEARN_PAUSE_MS = 1000
# The pause after an error, so that a failing card is not read more often.
FAILED_PAUSE_MS = 60_000
# How often the limits are read that another host may have learned.
READ_EVERY_MS = 60_000


class SilenceLimits:
    """The learned limits in the database, which are those of every process."""

    def __init__(self, database: Database) -> None:
        """Open nothing yet."""
        self._database = database

    def read(self) -> Mapping[str, int]:
        """Return them in seconds, by their stations; raises what a query raises."""
        with self._database.query() as connection:
            return learned_limits(connection)

    def learn(self, station: Station) -> UsualSilence | None:
        """Return what the readings of a station show; None if it has none.

        Raises what a query raises, unless one takes too long.
        """
        try:
            with self._database.query() as connection:
                return usual_silence(connection, station) if has_sent(connection, station) else None
        except QueryTooLong:
            # Where the card is too slow a long time is used, and it is not asked again so soon.
            return replace(usual_silence_of(station, ()), pauses=PAUSES_MIN)

    def keep(self, station: Station, after_sec: int) -> None:
        """Keep the limit of a station; raises what a commit raises."""
        self._database.commit_change(
            lambda connection: keep_limit(connection, station.endpoint, after_sec)
        )


class SilenceLearning:
    """The periodic task of a host that learns the usual pauses of stations without a set time."""

    def __init__(
        self,
        settings: Settings,
        gauges: Gauges,
        limits: SilenceLimits,
        monotonic_ms: Callable[[], int],
    ) -> None:
        """`monotonic_ms` is the clock of the gauges, which get the limits for this host."""
        alerts = settings.alerts
        self._stations = [
            station
            for station in settings.stations.all
            if any(rule.after_sec is None for rule in alerts.silences_of(station.endpoint))
        ]
        self._gauges = gauges
        self._limits = limits
        self._monotonic_ms = monotonic_ms
        self._learned_ms: dict[str, int] = {}
        # The stations of which little is known yet.
        self._new: set[str] = set()
        self._kept: Mapping[str, int] = {}
        self._read_at_ms = self._learn_at_ms = monotonic_ms()

    def step(self) -> bool:
        """Read the limits, or learn the station that is due the longest; raises database errors."""
        now_ms = self._monotonic_ms()
        waiting = [station for station in self._stations if self._is_due(station, now_ms)]
        if now_ms < self._learn_at_ms:
            return False
        self._learn_at_ms = now_ms + FAILED_PAUSE_MS
        if now_ms >= self._read_at_ms:
            # Another host may have learned them.
            self._kept = self._limits.read()
            for station in self._stations:
                if limit_sec := self._kept.get(station.endpoint):
                    self._gauges.station(station.endpoint).learned_sec = limit_sec
            self._read_at_ms = now_ms + READ_EVERY_MS
        if waiting:
            self._learn(min(waiting, key=lambda s: self._learned_ms.get(s.endpoint, 0)), now_ms)
        self._learn_at_ms = now_ms + LEARN_PAUSE_MS
        return bool(waiting)

    def _learn(self, station: Station, now_ms: int) -> None:
        endpoint, learned = station.endpoint, self._limits.learn(station)
        if learned is None or learned.pauses < PAUSES_MIN:
            self._new.add(endpoint)
        else:
            self._new.discard(endpoint)
        if learned is not None:
            # First the alerts of this host, for the database may be full.
            self._gauges.station(endpoint).learned_sec = learned.missed_after_sec
            if self._kept.get(endpoint) != learned.missed_after_sec:
                self._limits.keep(station, learned.missed_after_sec)
                self._kept = {**self._kept, endpoint: learned.missed_after_sec}
        self._learned_ms[endpoint] = now_ms

    def _is_due(self, station: Station, now_ms: int) -> bool:
        """Return whether it was never learned, or an hour ago or longer and has sent since."""
        learned_ms = self._learned_ms.get(station.endpoint)
        if learned_ms is None:
            return True
        # A reading may take a moment to be stored.
        every_ms = LEARN_PAUSE_MS if station.endpoint in self._new else LEARN_EVERY_MS
        has_sent = self._gauges.station(station.endpoint).last_received_ms > learned_ms
        return has_sent and now_ms - learned_ms >= every_ms


log = logging.getLogger(__name__)


def inactive_sec(last_ms: int, received_at: int | None) -> int | None:
    """Return the whole seconds since a station sent; None when it never did.

    `last_ms` is the time of CLOCK_MONOTONIC, 0 when it has sent nothing since the service started;
    then `received_at` counts, the time of its newest reading in UTC epoch milliseconds.
    """
    age_ms = _age_ms(last_ms, received_at)
    return None if age_ms is None else max(0, age_ms) // SECOND_MS


def silence_of(
    station: Station,
    received_at: int | None,
    settings: Settings,
    gauges: Gauges,
    *,
    is_alerted: bool,
) -> SilenceVerdict:
    """Return the current verdict on a station.

    `received_at` is the time of its newest reading in the database, in UTC epoch milliseconds;
    `is_alerted` is whether there is an alert of its silence.
    """
    times = gauges.station(station.endpoint)
    last_ms = times.last_received_ms
    signs = Signs(
        age_ms=_age_ms(last_ms, received_at),
        awaited_ms=None if last_ms else monotonic_ms() - times.awaited_since_ms,
        after_sec=silent_after_sec(settings, station, times.learned_sec),
        is_alerted=is_alerted,
        is_retired=station.retired,
    )
    return silence(signs)


def _age_ms(last_ms: int, received_at: int | None) -> int | None:
    """Return the age, below 0 where the wall clock is before the reading."""
    if last_ms:
        return monotonic_ms() - last_ms
    return None if received_at is None else now_ms() - received_at


# The pause before a query is repeated after an error: short enough for a threshold of minutes, long
# enough for a failing card.
ASK_EVERY_SEC = 5.0


class StationWatch:
    """Logs once when a station falls silent, and once when it sends again."""

    def __init__(
        self,
        settings: Settings,
        gauges: Gauges,
        last_received: Callable[[], Mapping[str, int | None]],
        monotonic: Callable[[], float],
    ) -> None:
        """Make no query yet.

        `last_received` returns the newest `received_at` of each endpoint (UTC epoch milliseconds),
        or None when it never sent; it is called until it succeeds once. `monotonic` returns the
        seconds of the clock of the gauges.
        """
        self._settings = settings
        self._gauges = gauges
        self._last_received = last_received
        self._monotonic = monotonic
        self._ask_at_sec = monotonic()
        self._senders: frozenset[str] | None = None
        self._ask_failed = False

    def step(self) -> bool:
        """Check each station once; False while it is not known which have ever sent.

        An error of the database is logged once. Any other error of `last_received` is raised after
        the check.
        """
        try:
            if self._senders is None and self._monotonic() >= self._ask_at_sec:
                self._ask_at_sec = self._monotonic() + ASK_EVERY_SEC
                self._senders = self._ask()
        finally:
            self._look()
        return self._senders is not None

    def _look(self) -> None:
        for station in self._settings.stations.all:
            endpoint = station.endpoint
            times = self._gauges.station(endpoint)
            since_ms, last_ms = times.silent_since_ms, times.last_received_ms
            if since_ms and last_ms > since_ms:
                times.silent_since_ms = 0
                silent_sec = (last_ms - since_ms) // 1000
                log.info("Endpoint '%s' is sending again after %ds", endpoint, silent_sec)
            elif not since_ms and (last_ms or endpoint in (self._senders or ())):
                self._watch(station, times, last_ms or times.awaited_since_ms)

    def _ask(self) -> frozenset[str] | None:
        """Return the endpoints that have ever sent; None after an error."""
        try:
            received = self._last_received()
        except (*DATABASE_ERRORS, OSError) as error:
            if not self._ask_failed:
                log.warning("Cannot read which endpoints have sent: %s", reason_of(error))
            self._ask_failed = True
            return None
        return frozenset(name for name, at in received.items() if at is not None)

    def _watch(self, station: Station, times: StationTimes, last_ms: int) -> None:
        threshold_sec = station.silent_after_sec(self._settings.inactivity_warn_sec)
        # In whole seconds, as in the line of the log.
        inactive_sec = (int(self._monotonic() * 1000) - last_ms) // 1000
        signs = Signs(
            age_ms=inactive_sec * SECOND_MS,
            awaited_ms=None,
            after_sec=threshold_sec,
            is_alerted=False,
            is_retired=station.retired,
        )
        if silence(signs).is_missed:
            times.silent_since_ms = last_ms
            log.warning(
                "Endpoint '%s' inactive for %ds (threshold %ds)",
                *(station.endpoint, inactive_sec, threshold_sec),
            )
