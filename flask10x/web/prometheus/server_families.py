"""The numbers of a server with PostgreSQL and of its standbys."""

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from flask10x.errors import DatabaseUnreachable
from flask10x.runtime.facts.server import server_state
from flask10x.runtime.store import Store
from flask10x.web.prometheus.families import gauge, gauge_of_each


def server(store: Store) -> Iterator[Metric]:
    """The size of the database, and how far its standbys are; raises DatabaseUnreachable."""
    state = server_state(store.settings, store.database)
    if state is None:
        return
    known = state.primary
    if known is None:
        raise DatabaseUnreachable(state.reason)
    yield gauge("database_size_bytes", "The size of the database.", known.database_bytes)
    text = "Standbys that the server knows of."
    yield gauge("database_standbys", text, len(known.standbys))
    if known.hidden:
        return
    text = "Standbys that have what is committed synchronously."
    yield gauge("database_synchronous_standbys", text, known.synchronous)
    text = "What is not yet on the disk of each standby."
    lags = {one.name: one.lag_bytes for one in known.standbys if one.lag_bytes is not None}
    if lags:
        yield gauge_of_each("database_standby_lag_bytes", text, "standby", lags)
