"""The numbers of files and of their disk."""

from collections.abc import Iterator
from pathlib import Path

from prometheus_client.metrics_core import Metric

from flask10x.config.settings import Settings
from flask10x.database import engines
from flask10x.database.paths import WAL, beside, database_path
from flask10x.runtime.facts import backups
from flask10x.runtime.facts.disk import room
from flask10x.system import disk
from flask10x.system.clock import now_ms
from flask10x.web.prometheus.families import gauge

MS_A_SECOND = 1000


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
    newest = backups.newest(settings.backup_dir, settings.zone, now_ms())
    if newest is None:
        return
    made_at = newest.made_at / MS_A_SECOND
    yield gauge("backup_last_timestamp_seconds", "When the newest backup was begun.", made_at)
    yield gauge("backup_last_size_bytes", "The size of the newest backup.", newest.bytes)
