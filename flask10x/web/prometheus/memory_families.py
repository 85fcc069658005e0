"""The numbers that lie in memory: they are there whatever becomes of the database."""

import platform
from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

import flask10x
from flask10x.config.settings import Settings
from flask10x.database.sqlite import connections
from flask10x.runtime import duties
from flask10x.runtime.store import Store
from flask10x.system.clock import monotonic_ms
from flask10x.system.gauges import Gauges
from flask10x.web.prometheus.families import (
    counter,
    counter_of_each,
    gauge,
    gauge_of_each,
    gauges,
    histogram,
)

MS_A_SECOND = 1000
US_A_SECOND = 1_000_000


def service(settings: Settings, shared: Gauges) -> Iterator[Metric]:
    """What the service is, how it is, and what its workers have counted since it started."""
    versions = (flask10x.__version__, platform.python_version(), connections.version())
    text = "The versions that run, as labels; always 1."
    yield gauges("build_info", text, ("version", "python", "sqlite"), {versions: 1})
    labels: dict[tuple[str, ...], float] = {}
    labels |= {(one.endpoint, one.label): 1 for one in settings.stations.all}
    text = "The label of each station; always 1."
    yield gauges("station_info", text, ("station", "label"), labels)
    yield gauge(
        "workers", "Worker processes that run.", sum(slot.pid != 0 for slot in shared.slots)
    )
    text = "Workers that died since the service started."
    yield counter("workers_killed", text, shared.killed)
    text = "1 while nothing is written because the database is damaged."
    yield gauge("database_damaged", text, int(shared.is_damaged()))
    text = "1 while a worker cannot store readings and tries again."
    yield gauge("storing_failing", text, int(shared.trouble()))
    text = "For how long each duty of the service has been failing; 0 while it works."
    failing = {name: sec or 0 for name, sec in duties.failing_sec(shared).items()}
    yield gauge_of_each("duty_failing_seconds", text, "duty", failing)
    yield from _readings(settings, shared)
    yield from _commits(shared)


def _readings(settings: Settings, shared: Gauges) -> Iterator[Metric]:
    totals = {name: shared.station_totals(name) for name in settings.stations.by_endpoint}
    text = "Readings taken into the queue since the service started; repeats may be among them."
    accepted = {name: one.accepted for name, one in totals.items()}
    yield counter_of_each("readings_accepted", text, "station", accepted)
    text = "Readings with something wrong in them since the service started."
    refused = {name: one.refused for name, one in totals.items()}
    yield counter_of_each("readings_refused", text, "station", refused)
    text = "Readings answered with 503 since the service started, for the sender to try again."
    turned_away = {name: one.turned_away for name, one in totals.items()}
    yield counter_of_each("readings_turned_away", text, "station", turned_away)


def _commits(shared: Gauges) -> Iterator[Metric]:
    text = "How many readings each commit has settled."
    yield histogram("commit_readings", text, shared.counts.batch_rows.read())
    text = "How long each commit of readings took."
    took = shared.counts.commit_us.read()
    yield histogram("commit_duration_seconds", text, took, US_A_SECOND)


def queue(store: Store) -> Iterator[Metric]:
    """What waits to be stored, in the queues of all workers."""
    yield gauge("queue_length", "Readings that wait to be stored.", store.queues.length())
    oldest_ms = store.queues.oldest_ms()
    waited_ms = 0 if oldest_ms is None else max(0, monotonic_ms() - oldest_ms)
    text = "For how long the first of them has waited; 0 when none waits."
    yield gauge("queue_oldest_seconds", text, waited_ms / MS_A_SECOND)
    text = "The length of one worker's queue from which the log warns."
    yield gauge("queue_warn_threshold", text, store.settings.queue_warn_threshold)
    text = "How many readings the queue of one worker holds."
    yield gauge("queue_capacity", text, store.settings.write_queue_maxsize)
