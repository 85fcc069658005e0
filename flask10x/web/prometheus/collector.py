"""All numbers of one scrape; what can't be found out is left out, and said to be.

Each part is looked at by itself: when the database can't be read, or the folder of backups, the
rest is answered all the same.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from flask10x.database import engines
from flask10x.errors import DatabaseUnreachable, QueryError
from flask10x.runtime.store import Store
from flask10x.runtime.waiting import Waiting
from flask10x.web.alert_state import state
from flask10x.web.prometheus import (
    alert_families,
    file_families,
    memory_families,
    server_families,
    stored_families,
)
from flask10x.web.prometheus.families import gauge_of_each, of_host
from flask10x.web.prometheus.stored_numbers import stored_numbers
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
        yield from of_host(host, memory_families.service(store.settings, store.gauges))
        if isinstance(store, Store):
            yield from of_host(host, memory_families.queue(store))
            stored = self._part("database", lambda: _stored(store))
            yield from stored or stored_families.stations(store, {})
            yield from self._part("disk", lambda: file_families.database(store.settings))
            if store.database.server is not None:
                yield from self._part("server", lambda: server_families.server(store))
            yield from self._part("backups", lambda: _backup(store))
        else:
            # The folder may be below the mount point of the disk that is missing.
            self._parts["database"] = 0
        yield from self._alerts()
        text = "1 for each part of this answer that could be found out, else 0."
        yield gauge_of_each("scrape_part_success", text, "part", self._parts)

    def _alerts(self) -> Iterator[Metric]:
        known = state().known()
        self._parts["alerts"] = int(not known.trouble)
        if not known.trouble:
            yield from alert_families.alerts(self._store.settings.alerts, known.active)

    def _part(self, name: str, look: Callable[[], Iterable[Metric]]) -> list[Metric]:
        """What it finds; nothing when it can't be found out."""
        try:
            found = list(look())
        except (*UNREADABLE, DatabaseUnreachable, QueryError, OSError) as error:
            log.debug("/metrics: no numbers of %s: %s", name, error)
            found = []
            self._parts[name] = 0
        else:
            self._parts[name] = 1
        return found


def _stored(store: Store) -> Iterator[Metric]:
    stored = stored_numbers(store)
    yield from stored_families.totals(stored)
    yield from stored_families.stations(store, stored.last_received)
    yield from stored_families.values(store, stored)


def _backup(store: Store) -> Iterator[Metric]:
    if not _looks_at_backups.acquire(timeout=BACKUPS_WITHIN_SEC):
        raise TimeoutError("another scrape still waits for the folder of backups")
    try:
        yield from file_families.backup(store.settings)
    finally:
        _looks_at_backups.release()
