"""All numbers of one scrape for Prometheus; what can't be found out is left out, and said to be.

Each part is looked at by itself: when the database can't be read, or the folder of backups, the
rest is still answered. Names and units are as https://prometheus.io/docs/practices/naming/
has them. This is loaded with the first scrape: prometheus_client takes some megabytes.
"""

import logging
import platform
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

import flask10x
from flask10x.alerts.alert import Alert
from flask10x.config.alerts.rules import Alerts
from flask10x.config.settings import Settings
from flask10x.database import counters, engines, verified
from flask10x.database.dialects import last_id
from flask10x.database.paths import WAL, beside, database_path
from flask10x.database.sqlite import connections
from flask10x.errors import DatabaseUnreachable, QueryError
from flask10x.health import copies
from flask10x.health.database import server_state
from flask10x.health.disk import room
from flask10x.history.pages import EndOfRange, end_rows
from flask10x.history.view import View
from flask10x.readings.times import SECOND_MS
from flask10x.recording import rejected
from flask10x.runtime import periodic_tasks
from flask10x.runtime.store import Store
from flask10x.runtime.waiting import Waiting
from flask10x.system import disk
from flask10x.system.clock import monotonic_ms, now_ms
from flask10x.system.gauges import Gauges, Histogram
from flask10x.web import context
from flask10x.web.cards import inactivity_sec, silences_now
from flask10x.web.context import alert_state
from flask10x.web.read_errors import UNREADABLE

log = logging.getLogger(__name__)

# The folder of backups may be on a computer that is gone; then one thread may wait for it, not all.
_looks_at_backups = threading.Lock()
BACKUPS_WITHIN_SEC = 1.0
PREFIX = "flask10x_"
US_A_SECOND = 1_000_000
# The last value of a station that has ended would be a straight line in every graph, and an alert
# on it would never end. Slow stations send every quarter of an hour or so.
VALUE_FOR_SEC = 3600

Numbers = float | Mapping[Any, float]
"""One number, or one for each value of a label, or for each set of values of several labels."""


class ScrapedNumbers(Collector):
    """One scrape of one worker; any other gives the same numbers at the same time."""

    def __init__(self, store: Store | Waiting) -> None:
        """Looks at nothing yet."""
        self._store = store
        self._parts: dict[str, float] = {}

    def collect(self) -> Iterator[Metric]:
        """Yield each family once; raises nothing that a database or a disk raises."""
        store, settings = self._store, self._store.settings
        host = engines.engine_of(settings).hosts.name or ""
        yield from _of_host(host, _service(settings, store.gauges))
        if isinstance(store, Store):
            yield from _of_host(host, _queue(store))
            yield from self._part("database", lambda: _stored(store)) or _stations(store, {})
            yield from self._part("disk", lambda: _database(settings))
            if store.database.server is not None:
                yield from self._part("server", lambda: _server(store))
            yield from self._part("backups", lambda: _backup(settings))
            yield from self._part("replica", lambda: _replica(settings))
            yield from self._part("copies", lambda: _copies(settings))
        else:
            # The folder may be below the mount point of the disk that is missing.
            self._parts["database"] = 0
        file = alert_state().current()
        self._parts["alerts"] = int(not file.trouble)
        if not file.trouble:
            yield from _alerts(settings.alerts, file.active)
        text = "1 for each part of this answer that could be found out, else 0."
        yield gauge("scrape_part_success", text, self._parts, "part")

    def _part(self, name: str, look: Callable[[], Iterable[Metric]]) -> list[Metric]:
        """Return what it finds; nothing when it can't be found out."""
        try:
            families = list(look())
        except (*UNREADABLE, DatabaseUnreachable, QueryError, OSError) as error:
            log.debug("/metrics: no numbers of %s: %s", name, error)
            families = []
            self._parts[name] = 0
        else:
            self._parts[name] = 1
        return families


def gauge(name: str, text: str, values: Numbers, *labels: str) -> Metric:
    """Return numbers that rise and fall; `labels` are the names of their labels."""
    return _with(values, GaugeMetricFamily(PREFIX + name, text, labels=labels))


def counter(name: str, text: str, values: Numbers, *labels: str) -> Metric:
    """Return numbers that never fall while the service runs; the name gets `_total` at its end."""
    return _with(values, CounterMetricFamily(PREFIX + name, text, labels=labels))


def _with(values: Numbers, family: GaugeMetricFamily | CounterMetricFamily) -> Metric:
    numbers = values if isinstance(values, Mapping) else {(): values}
    for own_labels, value in numbers.items():
        family.add_metric([own_labels] if isinstance(own_labels, str) else own_labels, value)
    return family


def histogram(name: str, text: str, counted: Histogram, unit: int = 1) -> Metric:
    """Return a histogram whose bounds and sum are divided by `unit`."""
    bounds = [str(bound / unit) for bound in counted.bounds]
    buckets = [*zip([*bounds, "+Inf"], map(float, counted.at_most), strict=True)]
    return HistogramMetricFamily(PREFIX + name, text, buckets=buckets, sum_value=counted.sum / unit)


def _of_host(host: str, families: Iterable[Metric]) -> Iterator[Metric]:
    """Yield the same, with the host as a label of each number where there may be several hosts."""
    for family in families:
        if host:
            family.samples = [
                sample._replace(labels={**sample.labels, "host": host}) for sample in family.samples
            ]
        yield family


def _service(settings: Settings, shared: Gauges) -> Iterator[Metric]:
    """What the service is, how it is, and what its workers have counted since it started."""
    stations = settings.stations
    versions = (flask10x.__version__, platform.python_version(), connections.version())
    text = "The versions that run, as labels; always 1."
    yield gauge("build_info", text, {versions: 1}, "version", "python", "sqlite")
    names = {(station.endpoint, station.label): 1.0 for station in stations.all}
    yield gauge("station_info", "The label of each station; always 1.", names, "station", "label")
    running = sum(slot.pid != 0 for slot in shared.slots)
    yield gauge("workers", "Worker processes that run.", running)
    text = "Workers that died since the service started."
    yield counter("workers_killed", text, shared.killed)
    text = "1 while nothing is written because the database is damaged."
    yield gauge("database_damaged", text, int(shared.is_damaged()))
    text = "1 while a worker cannot store readings and tries again."
    yield gauge("storing_failing", text, int(shared.trouble()))
    text = "For how long each periodic task of the service has been failing; 0 while it works."
    failing = {name: sec or 0 for name, sec in periodic_tasks.failing_sec(shared).items()}
    yield gauge("duty_failing_seconds", text, failing, "duty")
    totals = {name: shared.station_totals(name) for name in stations.by_endpoint}
    text = "Readings taken into the queue since the service started; repeats may be among them."
    accepted = {name: total.accepted for name, total in totals.items()}
    yield counter("readings_accepted", text, accepted, "station")
    text = "Readings with something wrong in them since the service started."
    refused = {name: total.refused for name, total in totals.items()}
    yield counter("readings_refused", text, refused, "station")
    text = "Readings answered with 503 since the service started, for the sender to try again."
    turned_away = {name: total.turned_away for name, total in totals.items()}
    yield counter("readings_turned_away", text, turned_away, "station")
    text = "How many readings each commit has settled."
    yield histogram("commit_readings", text, shared.batch_rows.read())
    text = "How long each commit of readings took."
    yield histogram("commit_duration_seconds", text, shared.commit_times_us.read(), US_A_SECOND)


def _queue(store: Store) -> Iterator[Metric]:
    """What waits to be stored, in the queues of all workers."""
    yield gauge("queue_length", "Readings that wait to be stored.", store.queues.length())
    oldest_ms = store.queues.oldest_ms()
    waited_ms = 0 if oldest_ms is None else max(0, monotonic_ms() - oldest_ms)
    text = "For how long the first of them has waited; 0 when none waits."
    yield gauge("queue_oldest_seconds", text, waited_ms / SECOND_MS)
    text = "The length of one worker's queue from which the log warns."
    yield gauge("queue_warn_threshold", text, store.settings.queue_warn_threshold)
    text = "How many readings the queue of one worker holds."
    yield gauge("queue_capacity", text, store.settings.write_queue_maxsize)


def _stored(store: Store) -> Iterator[Metric]:
    """What the database has; raises QueryTooLong, or `read_errors.UNREADABLE`.

    Its counters outlive a restart of the service.
    """
    with store.database.promptly(), store.database.query() as connection:
        view = context.view_of(connection)
        yield counter("readings_stored", "Readings ever stored.", view.last_id)
        text = "Failed commits, and readings that the database has refused."
        errors = counters.write_errors(connection, store.settings, store.gauges.errors_total())
        yield counter("write_errors", text, errors)
        text = "Refused readings that were kept among the rejected ones."
        yield counter("rejected_kept", text, last_id(connection, "rejected"))
        text = "Kept refused readings that had to go for newer ones."
        yield counter("rejected_evicted", text, counters.value_of(connection, rejected.EVICTED))
        text = "Refused readings that were not kept because they came too fast."
        yield counter("rejected_dropped", text, counters.value_of(connection, rejected.DROPPED))
        text = "Stored readings that are in no hourly roll-up yet."
        yield gauge("rollups_pending_readings", text, view.rollups.progress.behind)
        if leases := store.database.hosts.holders(connection):
            text = "Which host does what is done once for a database; always 1."
            yield gauge("lease_holder", text, dict.fromkeys(leases.items(), 1.0), "lease", "host")
        yield from _stations(store, view.last_received)
        yield from _values(store, view)


def _stations(store: Store, last: Mapping[str, int | None]) -> Iterator[Metric]:
    """When each station was heard.

    `last` is what the database knows of it, and may be empty: what came since the service started
    is known without.
    """
    text = "When the last stored reading of the station came; not there before the first."
    received = {name: at / SECOND_MS for name, at in last.items() if at is not None}
    yield gauge("station_last_received_timestamp_seconds", text, received, "station")
    text = "For how long the station has sent nothing, whatever the wall clock says."
    yield gauge("station_inactivity_seconds", text, _silence(store, last), "station")
    silences = silences_now(store.settings.stations.all, last, store)
    silent = {name: int(each.is_missed) for name, each in silences.items() if each.state != "never"}
    text = "1 while a station that has sent before is missed: silent for longer than its limit."
    yield gauge("station_silent", text, silent, "station")


def _values(store: Store, view: View) -> Iterator[Metric]:
    """The newest reading of each station that was heard in the last hour, as it was stored."""
    newest_values: dict[tuple[str, ...], float] = {}
    times: dict[str, float] = {}
    silence, stations = _silence(store, view.last_received), store.settings.stations.all
    rows = end_rows(view, [EndOfRange(station.endpoint) for station in stations], raw=True)
    for station, row in zip(stations, rows, strict=True):
        name = station.endpoint
        if row is None or silence.get(name, 0) > VALUE_FOR_SEC:
            continue
        times[name] = row.received_at / SECOND_MS
        for measurement, value in zip(station.measurements, row.values, strict=True):
            if value is not None:
                newest_values[name, measurement.column, measurement.unit] = value
    text = "The newest value of each measurement; not there when its station is silent for an hour."
    yield gauge("measurement_value", text, newest_values, "station", "measurement", "unit")
    text = "When the newest values of each station were measured."
    yield gauge("measurement_timestamp_seconds", text, times, "station")


def _silence(store: Store, last: Mapping[str, int | None]) -> dict[str, int]:
    """Return for how many seconds each station has sent nothing; without those that never did."""
    seconds = inactivity_sec(store, last).items()
    return {name: sec for name, sec in seconds if sec is not None}


def _database(settings: Settings) -> Iterator[Metric]:
    """Sizes of the database's files and the room of their disk; raises OSError."""
    path = database_path(settings)
    free = room(path.parent)
    if engines.engine_of(settings).is_file:
        text = "The size of the database, its WAL not included."
        yield gauge("database_size_bytes", text, disk.size(path))
        text = "The size of the file in which commits wait to be copied into the database."
        yield gauge("database_wal_size_bytes", text, disk.size(beside(path, WAL)))
    text = "What the service may still write on the disk of the database."
    yield gauge("disk_free_bytes", text, free.free)
    yield gauge("disk_size_bytes", "The size of the disk of the database.", free.total)


def _backup(settings: Settings) -> Iterator[Metric]:
    """The newest backup, if there is one; raises OSError."""
    if not _looks_at_backups.acquire(timeout=BACKUPS_WITHIN_SEC):
        raise TimeoutError("another scrape still waits for the folder of backups")
    try:
        newest = copies.newest_backup(settings.backup_dir, settings.zone, now_ms())
    finally:
        _looks_at_backups.release()
    if newest is not None:
        made_at = newest.made_at / SECOND_MS
        yield gauge("backup_last_timestamp_seconds", "When the newest backup was begun.", made_at)
        yield gauge("backup_last_size_bytes", "The size of the newest backup.", newest.bytes)


def _replica(settings: Settings) -> Iterator[Metric]:
    """How far the replica is, if there is one; raises OSError."""
    replica = copies.replica(settings)
    if replica is None:
        return
    yield gauge("replica_running", "1 while Litestream answers.", int(replica.is_running))
    if replica.synced_at is not None:
        text = "When the replica last had everything that was stored."
        yield gauge("replica_synced_timestamp_seconds", text, replica.synced_at / SECOND_MS)


def _copies(settings: Settings) -> Iterator[Metric]:
    """What `flask10x verify` has found last, if it ever ran; raises OSError."""
    result = verified.last_result(settings)
    if result is None:
        return
    text = "When all copies of the readings were compared last."
    yield gauge("verify_last_timestamp_seconds", text, result.finished_at / SECOND_MS)
    text = "Places at which copies differ that are not repaired, by the copy that is wrong."
    wrong: dict[str, float] = {
        name: sum(name in each.wrong for each in result.open) for name in verified.COPIES
    }
    wrong["unknown"] = sum(not each.wrong for each in result.open)
    yield gauge("verify_differences", text, wrong, "wrong")


def _server(store: Store) -> Iterator[Metric]:
    """The size of the database, and how far its standbys are; raises DatabaseUnreachable."""
    server = server_state(store.settings, store.database)
    if server is None:
        return
    primary = server.primary
    if primary is None:
        raise DatabaseUnreachable(server.reason)
    yield gauge("database_size_bytes", "The size of the database.", primary.database_bytes)
    text = "Standbys that the server knows of."
    yield gauge("database_standbys", text, len(primary.standbys))
    if primary.hidden:
        return
    text = "Standbys that have what is committed synchronously."
    yield gauge("database_synchronous_standbys", text, primary.synchronous)
    lags = {each.name: each.lag_bytes for each in primary.standbys if each.lag_bytes is not None}
    if lags:
        text = "What is not yet on the disk of each standby."
        yield gauge("database_standby_lag_bytes", text, lags, "standby")


def _alerts(rules: Alerts, active: Sequence[Alert]) -> Iterator[Metric]:
    """How many each rule has, also where that is none; and since when each is."""
    number: dict[tuple[str, ...], float] = {(rule.name, rule.kind): 0 for rule in rules.rules}
    since: dict[tuple[str, ...], float] = {}
    for alert in active:
        # A reload may have taken the rule away; its alerts end a moment later.
        rule = alert.rule, alert.kind
        number[rule] = number.get(rule, 0) + 1
        since[*rule, alert.subject] = alert.since_ms / SECOND_MS
    text = "Alerts of each rule of alerts.toml that are active."
    yield gauge("alerts_active", text, number, "rule", "kind")
    text = "Since when it is wrong, for each active alert; not there once it has ended."
    yield gauge("alert_since_timestamp_seconds", text, since, "rule", "kind", "subject")
