"""A station whose readings a test stores, and the rules that look at them."""

from collections.abc import Collection, Iterable, Mapping

import pytest

from flask10x.alerts.alert import Moment
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.readings.parse import Reading
from flask10x.recording import rejected
from flask10x.recording.rejected import RejectedReading
from flask10x.recording.shared_queue import SharedQueues
from flask10x.runtime.alerting.new_rows import (
    NewReadings,
    Scope,
)
from flask10x.runtime.alerting.rejection_watches import NewRejections
from flask10x.system.gauges import Gauges
from tests.runtime.alerting.watches.home import Clock, Noted
from tests.support.rows import insert_readings


class Log:
    """What is stored, and what the watches know of it."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self.gauges = Gauges(settings.stations.by_endpoint)
        self.queues = SharedQueues.anonymous(10)
        self.clock, self.noted = Clock(), Noted()

    def store(self, *readings: Reading) -> None:
        """As the writer does; the clocks stay."""
        with self.database.commit() as connection:
            insert_readings(connection, readings)
        for reading in readings:
            self.gauges.note_received(reading.endpoint, self.clock.monotonic_ms)

    def refuse(self, *refused: RejectedReading) -> None:
        """As the writer does with those that something is wrong with."""
        with self.database.commit() as connection:
            rejected.keep(connection, refused, self.settings)
        for reading in refused:
            self.gauges.count_refused(0, reading.endpoint)

    def readings_of(self, columns: Mapping[str, Collection[str]]) -> NewReadings:
        return NewReadings(self.database, self.gauges, self.queues, Scope(columns=columns))

    def rejections_of(self, endpoints: Iterable[str]) -> NewRejections:
        return NewRejections(self.database, self.gauges, tuple(endpoints))

    def moment(self, *, after_sec: float = 0) -> Moment:
        return self.clock.moment(after_sec=after_sec)


@pytest.fixture
def log(settings: Settings, database: Database) -> Log:
    return Log(settings, database)
