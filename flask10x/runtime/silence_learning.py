"""Learns how long each station is usually silent, and notes it where all workers see it."""

from collections.abc import Callable

from flask10x.config.settings import Settings
from flask10x.database.engine import Database
from flask10x.database.error_codes import QueryTooLong
from flask10x.history.silence import has_sent, usual_silence, usual_silence_of
from flask10x.readings.stations import Station
from flask10x.system.gauges import Gauges

# What was learned is renewed when it is so old.
LEARN_EVERY_MS = 3_600_000
# One station is learned at a time, for each takes some hundredths of a second.
LEARN_PAUSE_MS = 1000
# After a look that has failed: a failing card is left alone.
FAILED_PAUSE_MS = 60_000


class SilenceLearning:
    """A duty of one worker of each host; learns the stations of which a rule sets no time."""

    def __init__(
        self,
        settings: Settings,
        gauges: Gauges,
        learn: Callable[[Station], int | None],
        monotonic_ms: Callable[[], int],
    ) -> None:
        """`learn` gives after how many seconds the station's silence is longer than usual, None
        while it has no reading. `monotonic_ms` is of the clock that the gauges go by.
        """
        alerts = settings.alerts
        self._stations = [
            one
            for one in settings.stations.all
            if any(rule.after_sec is None for rule in alerts.silences_of(one.endpoint))
        ]
        self._gauges = gauges
        self._learn = learn
        self._monotonic_ms = monotonic_ms
        self._asked_ms: dict[str, int] = {}
        self._learn_at_ms = monotonic_ms()

    def step(self) -> bool:
        """Look at the station that waits longest for it, if one does; raises what `learn` does."""
        now_ms = self._monotonic_ms()
        waiting = [one for one in self._stations if self._is_due(one, now_ms)]
        if now_ms < self._learn_at_ms or not waiting:
            return False
        station = min(waiting, key=lambda one: self._asked_ms.get(one.endpoint, 0))
        self._learn_at_ms = now_ms + FAILED_PAUSE_MS
        learned_sec = self._learn(station)
        self._learn_at_ms = now_ms + LEARN_PAUSE_MS
        self._asked_ms[station.endpoint] = now_ms
        if learned_sec is not None:
            self._gauges.set_learned_sec(station.endpoint, learned_sec)
        return True

    def _is_due(self, station: Station, now_ms: int) -> bool:
        """Whether it was never looked at, or has sent since, an hour ago or longer."""
        asked_ms = self._asked_ms.get(station.endpoint)
        if asked_ms is None:
            return True
        # The first reading of a new station may take a moment to be stored.
        is_known = self._gauges.learned_sec(station.endpoint) > 0
        has_sent = self._gauges.last_received_ms(station.endpoint) > asked_ms
        return has_sent and now_ms - asked_ms >= (LEARN_EVERY_MS if is_known else LEARN_PAUSE_MS)


def learn_from(database: Database) -> Callable[[Station], int | None]:
    """The usual `learn`. It raises what a query raises, but for one that takes too long."""

    def learn(station: Station) -> int | None:
        try:
            with database.query() as connection:
                if not has_sent(connection, station):
                    return None
                return usual_silence(connection, station).missed_after_sec
        except QueryTooLong:
            # Where a card is too slow for it the station is missed later, and not never.
            return usual_silence_of(station, ()).missed_after_sec

    return learn
