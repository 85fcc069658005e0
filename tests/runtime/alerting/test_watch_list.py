"""A watch for each rule, and that each second costs little."""

from dataclasses import replace
from typing import Any

from sqlalchemy import event

from flask10x.alerts.alert import Moment
from flask10x.config.alerts.rules import (
    Alerts,
    BackupOverdue,
    DatabaseTrouble,
    Disk,
    ExportOverdue,
    FailedSensor,
    Queue,
    Rate,
    RejectedSender,
    Silence,
    WrongCopies,
)
from flask10x.config.settings import Settings
from flask10x.runtime.alerting.watch_list import watches_of
from flask10x.runtime.store import Store
from flask10x.system import clock
from tests.support.alert_rows import threshold_of
from tests.support.rows import pico

EVERY_RULE = (
    *(Silence(), Queue(), Disk(), DatabaseTrouble(), ExportOverdue(), BackupOverdue()),
    *(WrongCopies(), threshold_of(), FailedSensor(), RejectedSender()),
    Rate(name="window", station="data3", column="temperature", fall=3, within_sec=900),
)


def test_each_kind_of_rule_has_its_watch_and_all_look_without_an_error(
    store: Store, settings: Settings
) -> None:
    config = replace(settings, alerts=Alerts(rules=EVERY_RULE))
    watches = watches_of(config, store.database, store.gauges, store.queues, store.writer)
    assert [watch.rule for watch in watches] == list(EVERY_RULE)
    store.writer.submit(pico(1, clock.now_ms()))
    store.writer.step()
    queries: list[str] = []

    def note(*arguments: Any) -> None:
        queries.append(arguments[2])

    began = Moment(clock.now_ms(), clock.monotonic_ms())
    for seconds in range(1, 21):
        now = Moment(began.wall_ms + 1000 * seconds, began.monotonic_ms + 1000 * seconds)
        firing = {
            verdict.rule.name
            for watch in watches
            for verdict in watch.step(now, {})
            if verdict.is_firing
        }
        if seconds == 10:
            event.listen(store.database.reader, "before_cursor_execute", note)
        # The machine of a test may be as full as it likes.
        assert firing <= {"disk"}
    assert queries == []
