"""Commits behind a held snapshot: `python -m tests.postgres.held` prints the table of decision 32.

Each commit is one reading. Counted are the pages of `log` that it looks at, those of its index
included, and measured are its milliseconds: the lower quartile of those of a look. A `pg_dump`
holds its snapshot for minutes.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from flask10x.database.database import Database
from flask10x.recording.accepted_keys import key_of
from flask10x.recording.writer import Writer
from tests.e2e.service import wait_until
from tests.postgres.hosts import Hosts, hosts_in
from tests.postgres.service import WITHIN_SEC, writer_on
from tests.support import postgres
from tests.support.rows import pico

TOUCHED = "SELECT heap_blks_hit + idx_blks_hit + heap_blks_read + idx_blks_read"
TOUCHED += " FROM pg_statio_user_tables WHERE relname = 'log'"
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
SESSIONS += " AND application_name LIKE 'flask10x%'"
# As many as one name of a note is for.
LOOKED_AT = 256
AFTER = (0, 6_000, 12_000, 24_000)


class Commits:
    """Of one host, each of one reading."""

    def __init__(self, hosts: Hosts, writer: Writer, *, with_keys: bool) -> None:
        self.number = 0
        self._hosts, self._writer, self._with_keys = hosts, writer, with_keys

    def run(self, commits: int) -> list[float]:
        """So many; the seconds of each."""
        return [self._commit() for _ in range(commits)]

    def pages(self, commits: int = LOOKED_AT) -> float:
        """How many pages of `log` each of so many looks at."""
        return pages(self._hosts, self._writer._database, lambda: self.run(commits)) / commits

    def _commit(self) -> float:
        self.number += 1
        key = key_of("data", b"%d" % self.number) if self._with_keys else ""
        self._writer.submit(pico(self.number), key=key)
        began_sec = time.perf_counter()
        assert self._writer.step() == 1
        return time.perf_counter() - began_sec


def pages(hosts: Hosts, database: Database, run: Callable[[], object]) -> int:
    """How many pages of `log` that looks at in the sessions of this database, which are closed."""
    before = _counted(hosts, database)
    run()
    return _counted(hosts, database) - before


def _counted(hosts: Hosts, database: Database) -> int:
    # A session hands in what it has counted when it ends.
    for engine in (database.writer, database.reader):
        engine.dispose()
    wait_until(lambda: hosts.run(SESSIONS) == [(0,)], WITHIN_SEC, "its sessions end")
    ((number,),) = hosts.run(TOUCHED)
    assert isinstance(number, int)
    return number


@contextmanager
def snapshot_held(hosts: Hosts) -> Iterator[None]:
    """One that is held until the block ends."""
    with closing(postgres.shared().connect(hosts.name)) as dump:
        dump.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        dump.execute("SELECT count(*) FROM log")
        yield


@contextmanager
def commits_behind_a_snapshot(hosts: Hosts, *, with_keys: bool) -> Iterator[Commits]:
    """Commits of a writer behind a snapshot that is held until the block ends."""
    with writer_on(hosts.settings("kitchen")) as writer:
        commits = Commits(hosts, writer, with_keys=with_keys)
        commits.run(1)
        with snapshot_held(hosts):
            yield commits


def main() -> None:
    """Print the table."""
    postgres.announce()
    without, with_keys = (measured(with_keys=with_keys) for with_keys in (False, True))
    lines = ["| commits | pages of `log` | ms | with keys |", "|---:|---:|---:|---:|"]
    for after, (plain, ms), (keyed, _ms) in zip(AFTER, without, with_keys, strict=True):
        lines.append(f"| {after:,} | {plain:.0f} | {ms:.2f} | {keyed:.0f} |")
    sys.stdout.write("\n".join((*lines, "")))


def measured(*, with_keys: bool) -> list[tuple[float, float]]:
    """Pages and milliseconds of a commit after each of these numbers of commits."""
    found = []
    with (
        tempfile.TemporaryDirectory() as folder,
        hosts_in(Path(folder)) as hosts,
        commits_behind_a_snapshot(hosts, with_keys=with_keys) as commits,
    ):
        for after in AFTER:
            commits.run(after - commits.number)
            looked_at = commits.pages()
            seconds = sorted(commits.run(LOOKED_AT))
            found.append((looked_at, 1000 * seconds[len(seconds) // 4]))
    return found


if __name__ == "__main__":
    main()
