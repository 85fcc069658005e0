"""The numbers that are in the database."""

from collections.abc import Iterator, Mapping

from prometheus_client.metrics_core import Metric

from flask10x.runtime.station_watch import inactive_sec, silence_of
from flask10x.runtime.store import Store
from flask10x.web.alert_state import state
from flask10x.web.prometheus.families import counter, gauge, gauge_of_each, gauges
from flask10x.web.prometheus.stored_numbers import StoredNumbers

MS_A_SECOND = 1000
# The last value of a station that has ended would be a straight line in every graph, and an alert
# on it would never end. Slow stations send every quarter of an hour or so.
VALUE_FOR_SEC = 3600


def totals(stored: StoredNumbers) -> Iterator[Metric]:
    """What the database has counted; these outlive a restart of the service."""
    yield counter("readings_stored", "Readings ever stored.", stored.stored)
    text = "Failed commits, and readings that the database has refused."
    yield counter("write_errors", text, stored.write_errors)
    text = "Refused readings that were kept among the rejected ones."
    yield counter("rejected_kept", text, stored.rejected_kept)
    text = "Kept refused readings that had to go for newer ones."
    yield counter("rejected_evicted", text, stored.rejected_evicted)
    text = "Refused readings that were not kept because they came too fast."
    yield counter("rejected_dropped", text, stored.rejected_dropped)
    text = "Stored readings that are in no hourly roll-up yet."
    yield gauge("rollups_pending_readings", text, stored.rollups_behind)
    if stored.leases:
        text = "Which host does what is done once for a database; always 1."
        holders: dict[tuple[str, ...], float] = dict.fromkeys(stored.leases.items(), 1)
        yield gauges("lease_holder", text, ("lease", "host"), holders)


def stations(store: Store, last: Mapping[str, int | None]) -> Iterator[Metric]:
    """When each station was heard.

    `last` is what the database knows of it, and may be empty: what came since the service started
    is known without.
    """
    known = store.settings.stations.all
    silence = _silence(store, last)
    text = "When the last stored reading of the station came; not there before the first."
    heard = {name: at / MS_A_SECOND for name, at in last.items() if at is not None}
    yield gauge_of_each("station_last_received_timestamp_seconds", text, "station", heard)
    text = "For how long the station has sent nothing, whatever the wall clock says."
    yield gauge_of_each("station_inactivity_seconds", text, "station", silence)
    alerted = state().known().silent
    silent = {}
    for one in known:
        verdict = silence_of(
            one,
            last.get(one.endpoint),
            store.settings,
            store.gauges,
            is_alerted=one.endpoint in alerted,
        )
        if verdict.state != "never":
            silent[one.endpoint] = int(verdict.is_missed)
    text = "1 while a station that has sent before is missed: silent for longer than its limit."
    yield gauge_of_each("station_silent", text, "station", silent)


def values(store: Store, stored: StoredNumbers) -> Iterator[Metric]:
    """The newest reading of each station that was heard in the last hour."""
    found: dict[tuple[str, ...], float] = {}
    times: dict[str, float] = {}
    silence = _silence(store, stored.last_received)
    for station in store.settings.stations.all:
        name, row = station.endpoint, stored.newest[station.endpoint]
        if row is None or silence.get(name, 0) > VALUE_FOR_SEC:
            continue
        times[name] = row.received_at / MS_A_SECOND
        for measurement, value in zip(station.measurements, row.values, strict=True):
            if value is not None:
                found[name, measurement.column, measurement.unit] = value
    text = "The newest value of each measurement; not there when its station is silent for an hour."
    yield gauges("measurement_value", text, ("station", "measurement", "unit"), found)
    text = "When the newest values of each station were measured."
    yield gauge_of_each("measurement_timestamp_seconds", text, "station", times)


def _silence(store: Store, last: Mapping[str, int | None]) -> dict[str, int]:
    """For how many seconds each station has sent nothing; without those that never did."""
    found = {
        name: inactive_sec(store.gauges.last_received_ms(name), last.get(name))
        for name in store.settings.stations.by_endpoint
    }
    return {name: sec for name, sec in found.items() if sec is not None}
