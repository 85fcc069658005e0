"""All numbers of one scrape for Prometheus; what can't be found out is left out, and said to be.

Each part is looked at by itself: when the database can't be read, or the folder of backups, the
rest is still answered. Names and units are as https://prometheus.io/docs/practices/naming/
has them. This is loaded with the first scrape: prometheus_client takes some megabytes.
"""

import logging
import platform
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

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
from flask10x.health import copies as copies_of
from flask10x.health.database import server_state
from flask10x.health.disk import room
from flask10x.history.pages import EndOfRange, end_rows
from flask10x.history.view import View
from flask10x.readings.times import SECOND_MS
from flask10x.recording import rejected
from flask10x.runtime import periodic_tasks
from flask10x.runtime.station_watch import silence_of
from flask10x.runtime.store import Store
from flask10x.runtime.waiting import Waiting
from flask10x.system import disk
from flask10x.system.clock import monotonic_ms, now_ms
from flask10x.system.gauges import Gauges, Histogram
from flask10x.web import context
from flask10x.web.alert_state import state
from flask10x.web.probes import inactivity_sec
from flask10x.web.read_errors import UNREADABLE

log = logging.getLogger(__name__)

# The folder of backups may be on a computer that is gone; then one thread may wait for it, not all.
_looks_at_backups = threading.Lock()
BACKUPS_WITHIN_SEC = 1.0


class ScrapedNumbers(Collector):
    """One scrape of one worker; any other gives the same numbers at the same time."""

    def __init__(self, store: Store | Waiting) -> None:
        """Looks at nothing yet."""
        self._store = store
        self._parts: dict[str, float] = {}

    def collect(self) -> Iterator[Metric]:
        """Each family once; raises nothing that a database or a disk raises."""
        store = self._store
        host = engines.of(store.settings).hosts.name or ""
        yield from of_host(host, service(store.settings, store.gauges))
        if isinstance(store, Store):
            yield from of_host(host, queue(store))
            stored = self._part("database", lambda: _stored(store))
            yield from stored or stations(store, {})
            yield from self._part("disk", lambda: database(store.settings))
            if store.database.server is not None:
                yield from self._part("server", lambda: server(store))
            yield from self._part("backups", lambda: _backup(store))
            yield from self._part("replica", lambda: replica(store.settings))
            yield from self._part("copies", lambda: copies(store.settings))
        else:
            # The folder may be below the mount point of the disk that is missing.
            self._parts["database"] = 0
        yield from self._alerts()
        text = "1 for each part of this answer that could be found out, else 0."
        yield gauge_of_each("scrape_part_success", text, "part", self._parts)

    def _alerts(self) -> Iterator[Metric]:
        file = state().current()
        self._parts["alerts"] = int(not file.trouble)
        if not file.trouble:
            yield from alerts(self._store.settings.alerts, file.active)

    def _part(self, name: str, look: Callable[[], Iterable[Metric]]) -> list[Metric]:
        """What it finds; nothing when it can't be found out."""
        try:
            families = list(look())
        except (*UNREADABLE, DatabaseUnreachable, QueryError, OSError) as error:
            log.debug("/metrics: no numbers of %s: %s", name, error)
            families = []
            self._parts[name] = 0
        else:
            self._parts[name] = 1
        return families


def _stored(store: Store) -> Iterator[Metric]:
    """What one state of the database has; raises QueryTooLong, or `read_errors.UNREADABLE`."""
    with store.database.promptly(), store.database.query() as connection:
        view = context.view_of(connection)
        yield from totals(store, view)
        yield from stations(store, view.last_received)
        yield from values(store, view)


def _backup(store: Store) -> Iterator[Metric]:
    if not _looks_at_backups.acquire(timeout=BACKUPS_WITHIN_SEC):
        raise TimeoutError("another scrape still waits for the folder of backups")
    try:
        yield from backup(store.settings)
    finally:
        _looks_at_backups.release()


PREFIX = "flask10x_"


def gauge(name: str, text: str, value: float) -> Metric:
    """One number that rises and falls."""
    return GaugeMetricFamily(PREFIX + name, text, value=value)


def gauge_of_each(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """One for each value of a label."""
    return gauges(
        name, text, (label,), {(own_label,): value for own_label, value in values.items()}
    )


def gauges(
    name: str, text: str, labels: Sequence[str], values: Mapping[tuple[str, ...], float]
) -> Metric:
    """One for each set of values of several labels, in the order of their names."""
    family = GaugeMetricFamily(PREFIX + name, text, labels=labels)
    for own_labels, value in values.items():
        family.add_metric(own_labels, value)
    return family


def counter(name: str, text: str, value: float) -> Metric:
    """One number that never falls while the service runs; its name gets `_total` at its end."""
    return CounterMetricFamily(PREFIX + name, text, value=value)


def counter_of_each(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """One for each value of a label."""
    family = CounterMetricFamily(PREFIX + name, text, labels=[label])
    for own_label, value in values.items():
        family.add_metric([own_label], value)
    return family


def histogram(name: str, text: str, counted: Histogram, unit: int = 1) -> Metric:
    """Bounds and sum are divided by `unit`."""
    bounds = [str(bound / unit) for bound in counted.bounds]
    buckets = [*zip([*bounds, "+Inf"], map(float, counted.at_most), strict=True)]
    return HistogramMetricFamily(PREFIX + name, text, buckets=buckets, sum_value=counted.sum / unit)


def of_host(host: str, families: Iterable[Metric]) -> Iterator[Metric]:
    """The same, with the host as a label of each number where there may be several hosts."""
    for family in families:
        if host:
            family.samples = [
                sample._replace(labels={**sample.labels, "host": host}) for sample in family.samples
            ]
        yield family


US_A_SECOND = 1_000_000


def service(settings: Settings, shared: Gauges) -> Iterator[Metric]:
    """What the service is, how it is, and what its workers have counted since it started."""
    versions = (flask10x.__version__, platform.python_version(), connections.version())
    text = "The versions that run, as labels; always 1."
    yield gauges("build_info", text, ("version", "python", "sqlite"), {versions: 1})
    labels: dict[tuple[str, ...], float] = {}
    labels |= {(station.endpoint, station.label): 1 for station in settings.stations.all}
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
    text = "For how long each periodic task of the service has been failing; 0 while it works."
    failing = {name: sec or 0 for name, sec in periodic_tasks.failing_sec(shared).items()}
    yield gauge_of_each("duty_failing_seconds", text, "duty", failing)
    yield from _readings(settings, shared)
    yield from _commits(shared)


def _readings(settings: Settings, shared: Gauges) -> Iterator[Metric]:
    totals = {name: shared.station_totals(name) for name in settings.stations.by_endpoint}
    text = "Readings taken into the queue since the service started; repeats may be among them."
    accepted = {name: total.accepted for name, total in totals.items()}
    yield counter_of_each("readings_accepted", text, "station", accepted)
    text = "Readings with something wrong in them since the service started."
    refused = {name: total.refused for name, total in totals.items()}
    yield counter_of_each("readings_refused", text, "station", refused)
    text = "Readings answered with 503 since the service started, for the sender to try again."
    turned_away = {name: total.turned_away for name, total in totals.items()}
    yield counter_of_each("readings_turned_away", text, "station", turned_away)


def _commits(shared: Gauges) -> Iterator[Metric]:
    text = "How many readings each commit has settled."
    yield histogram("commit_readings", text, shared.batch_rows.read())
    text = "How long each commit of readings took."
    took = shared.commit_times_us.read()
    yield histogram("commit_duration_seconds", text, took, US_A_SECOND)


def queue(store: Store) -> Iterator[Metric]:
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


# The last value of a station that has ended would be a straight line in every graph, and an alert
# on it would never end. Slow stations send every quarter of an hour or so.
VALUE_FOR_SEC = 3600


def totals(store: Store, view: View) -> Iterator[Metric]:
    """What the database has counted; these outlive a restart of the service."""
    connection = view.connection
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
        yield gauges("lease_holder", text, ("lease", "host"), dict.fromkeys(leases.items(), 1))


def stations(store: Store, last: Mapping[str, int | None]) -> Iterator[Metric]:
    """When each station was heard.

    `last` is what the database knows of it, and may be empty: what came since the service started
    is known without.
    """
    every_station = store.settings.stations.all
    silence = _silence(store, last)
    text = "When the last stored reading of the station came; not there before the first."
    received = {name: at / SECOND_MS for name, at in last.items() if at is not None}
    yield gauge_of_each("station_last_received_timestamp_seconds", text, "station", received)
    text = "For how long the station has sent nothing, whatever the wall clock says."
    yield gauge_of_each("station_inactivity_seconds", text, "station", silence)
    alerted = state().current().silent
    silent = {}
    for station in every_station:
        verdict = silence_of(
            station,
            last.get(station.endpoint),
            store.settings,
            store.gauges,
            is_alerted=station.endpoint in alerted,
        )
        if verdict.state != "never":
            silent[station.endpoint] = int(verdict.is_missed)
    text = "1 while a station that has sent before is missed: silent for longer than its limit."
    yield gauge_of_each("station_silent", text, "station", silent)


def values(store: Store, view: View) -> Iterator[Metric]:
    """The newest reading of each station that was heard in the last hour, as it was stored."""
    newest_values: dict[tuple[str, ...], float] = {}
    times: dict[str, float] = {}
    silence = _silence(store, view.last_received)
    rows = end_rows(
        view, [EndOfRange(name) for name in store.settings.stations.by_endpoint], raw=True
    )
    for station, row in zip(store.settings.stations.all, rows, strict=True):
        name = station.endpoint
        if row is None or silence.get(name, 0) > VALUE_FOR_SEC:
            continue
        times[name] = row.received_at / SECOND_MS
        for measurement, value in zip(station.measurements, row.values, strict=True):
            if value is not None:
                newest_values[name, measurement.column, measurement.unit] = value
    text = "The newest value of each measurement; not there when its station is silent for an hour."
    yield gauges("measurement_value", text, ("station", "measurement", "unit"), newest_values)
    text = "When the newest values of each station were measured."
    yield gauge_of_each("measurement_timestamp_seconds", text, "station", times)


def _silence(store: Store, last: Mapping[str, int | None]) -> dict[str, int]:
    """For how many seconds each station has sent nothing; without those that never did."""
    seconds = inactivity_sec(store, last).items()
    return {name: sec for name, sec in seconds if sec is not None}


def database(settings: Settings) -> Iterator[Metric]:
    """Sizes of the database's files and the room of their disk; raises OSError."""
    path: Path = database_path(settings)
    free = room(path.parent)
    if engines.of(settings).is_file:
        text = "The size of the database, its WAL not included."
        yield gauge("database_size_bytes", text, disk.size(path))
        text = "The size of the file in which commits wait to be copied into the database."
        yield gauge("database_wal_size_bytes", text, disk.size(beside(path, WAL)))
    text = "What the service may still write on the disk of the database."
    yield gauge("disk_free_bytes", text, free.free)
    yield gauge("disk_size_bytes", "The size of the disk of the database.", free.total)


def backup(settings: Settings) -> Iterator[Metric]:
    """The newest backup, if there is one; raises OSError."""
    newest = copies_of.newest_backup(settings.backup_dir, settings.zone, now_ms())
    if newest is None:
        return
    made_at = newest.made_at / SECOND_MS
    yield gauge("backup_last_timestamp_seconds", "When the newest backup was begun.", made_at)
    yield gauge("backup_last_size_bytes", "The size of the newest backup.", newest.bytes)


def replica(settings: Settings) -> Iterator[Metric]:
    """How far the replica is, if there is one; raises OSError."""
    found = copies_of.replica(settings)
    if found is None:
        return
    yield gauge("replica_running", "1 while Litestream answers.", int(found.is_running))
    if found.synced_at is not None:
        text = "When the replica last had everything that was stored."
        yield gauge("replica_synced_timestamp_seconds", text, found.synced_at / SECOND_MS)


def copies(settings: Settings) -> Iterator[Metric]:
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
    yield gauge_of_each("verify_differences", text, "wrong", wrong)


def server(store: Store) -> Iterator[Metric]:
    """The size of the database, and how far its standbys are; raises DatabaseUnreachable."""
    state = server_state(store.settings, store.database)
    if state is None:
        return
    primary = state.primary
    if primary is None:
        raise DatabaseUnreachable(state.reason)
    yield gauge("database_size_bytes", "The size of the database.", primary.database_bytes)
    text = "Standbys that the server knows of."
    yield gauge("database_standbys", text, len(primary.standbys))
    if primary.hidden:
        return
    text = "Standbys that have what is committed synchronously."
    yield gauge("database_synchronous_standbys", text, primary.synchronous)
    text = "What is not yet on the disk of each standby."
    lags = {
        standby.name: standby.lag_bytes
        for standby in primary.standbys
        if standby.lag_bytes is not None
    }
    if lags:
        yield gauge_of_each("database_standby_lag_bytes", text, "standby", lags)


def alerts(rules: Alerts, active: Sequence[Alert]) -> Iterator[Metric]:
    """How many each rule has, also where that is none; and since when each is."""
    number: dict[tuple[str, ...], float] = {(rule.name, rule.kind): 0 for rule in rules.rules}
    since: dict[tuple[str, ...], float] = {}
    for alert in active:
        # A reload may have taken the rule away; its alerts end a moment later.
        rule = alert.rule, alert.kind
        number[rule] = number.get(rule, 0) + 1
        since[*rule, alert.subject] = alert.since_ms / SECOND_MS
    text = "Alerts of each rule of alerts.toml that are active."
    yield gauges("alerts_active", text, ("rule", "kind"), number)
    text = "Since when it is wrong, for each active alert; not there once it has ended."
    yield gauges("alert_since_timestamp_seconds", text, ("rule", "kind", "subject"), since)
