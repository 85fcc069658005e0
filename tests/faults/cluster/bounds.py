"""For how long each fault of a database may stop the storing: the one place where that stands.

A bound is made of the limits of what takes part, and allows for two busy cores; it says that all
goes on by itself in time, not how fast it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flask10x.database.postgres.connections import IDLE_MS

# Patroni's own (deploy/cluster/patroni.yml): a leader that says nothing loses the lead after `ttl`,
# each node looks every `loop_wait` and waits for etcd for `retry_timeout`.
TTL_SEC, LOOP_SEC, RETRY_SEC = 20.0, 5.0, 5.0
# `wal_sender_timeout`: when a standby that says nothing is given up.
STANDBY_SILENCE_SEC = 10.0
# A connection is tried at each of three nodes, for CONNECT_TIMEOUT_SEC each.
CONNECT_SEC = 3 * 5.0
# WRITE_SILENCE_SEC: when the service gives a commit up of which it hears nothing.
COMMIT_SILENCE_SEC = 30.0
# A board's time limit, after which it asks the other host.
BOARD_SEC = 6.0
# A machine with other work: a start, a recovery, a `pg_rewind`, a few turns of each loop.
BUSY_SEC = 15.0
# The new leader and, as no reading is acknowledged by one machine, the third node that follows it.
TAKE_OVER_SEC = TTL_SEC + 2 * LOOP_SEC + RETRY_SEC + CONNECT_SEC + BOARD_SEC + BUSY_SEC
# How long a service host that stands still may hold the row of `log`, by which commits take turns.
# The server ends its transaction then.
ROW_HELD_SEC = IDLE_MS / 1000


@dataclass(frozen=True, slots=True)
class Bound:
    """How soon some reading is acknowledged again, and what proves that the fault was one."""

    within_sec: float
    from_end: bool
    """Counted from the end of the fault; else from its beginning, for others have to take over."""
    is_noticed: bool = True
    """Whether some board has to be refused or left without an answer."""


BOUNDS: dict[str, Bound] = {
    "pg-leader-killed": Bound(TAKE_OVER_SEC, from_end=False),
    # It is started again on its machine, or replaced after `primary_start_timeout` (20 s, as ttl).
    "pg-leader-crashed": Bound(TAKE_OVER_SEC, from_end=False),
    # Whoever waits for its answer does not know: the other leads before the commit is given up.
    "pg-leader-frozen": Bound(TAKE_OVER_SEC + COMMIT_SILENCE_SEC - TTL_SEC, from_end=False),
    "pg-leader-unplugged": Bound(TAKE_OVER_SEC + COMMIT_SILENCE_SEC - TTL_SEC, from_end=False),
    # Its clients hear it all the time, and the third node may have to be undone first.
    "pg-leader-parted": Bound(TAKE_OVER_SEC + COMMIT_SILENCE_SEC, from_end=False),
    # Patroni may be about to look, and then boards notice nothing of it either.
    "pg-standby-killed": Bound(
        STANDBY_SILENCE_SEC + 2 * LOOP_SEC + BOARD_SEC + BUSY_SEC,
        from_end=False,
        is_noticed=False,
    ),
    # The server gives it up, and Patroni names the third node.
    "pg-standby-unplugged": Bound(
        STANDBY_SILENCE_SEC + 2 * LOOP_SEC + BOARD_SEC + BUSY_SEC, from_end=False
    ),
    # A commit that was broken off is tried again at once, so boards may notice nothing of it.
    "pg-commit-terminated": Bound(CONNECT_SEC + BUSY_SEC, from_end=True, is_noticed=False),
    "pg-wait-cancelled": Bound(STANDBY_SILENCE_SEC + BUSY_SEC, from_end=True),
    # It refuses what needs room, and nobody replaces it; or it ends for want of room for its log.
    "pg-disk-full": Bound(TAKE_OVER_SEC, from_end=True),
    # Both begin with three nodes that are off; the lead of the one before has to expire.
    "pg-database-away": Bound(TAKE_OVER_SEC + BUSY_SEC, from_end=True),
    "pg-power-cut": Bound(TAKE_OVER_SEC + BUSY_SEC, from_end=True),
    # The kernel closes its connections, so nobody waits for it; boards ask the other host.
    "pg-host-killed": Bound(BOARD_SEC + BUSY_SEC, from_end=False),
    "pg-host-frozen": Bound(ROW_HELD_SEC + BUSY_SEC, from_end=False),
    # The server ends its transaction, and the other goes on.
    "pg-host-unplugged": Bound(ROW_HELD_SEC + BOARD_SEC + BUSY_SEC, from_end=False),
    # A commit under way is given up after its silence, or its packets are sent again before.
    "pg-services-parted": Bound(
        COMMIT_SILENCE_SEC + CONNECT_SEC + BOARD_SEC + BUSY_SEC, from_end=True
    ),
    # Storing goes by no clock that people set.
    "pg-host-clock": Bound(BOARD_SEC + BUSY_SEC, from_end=False, is_noticed=False),
    # Of the server's own limits some end at once: replication begins again, and transactions.
    "pg-leader-clock": Bound(
        STANDBY_SILENCE_SEC + 2 * LOOP_SEC + BOARD_SEC + BUSY_SEC,
        from_end=False,
        is_noticed=False,
    ),
    # One server: it is there again, and the service tries, later each time.
    "pg-restarted": Bound(CONNECT_SEC + BUSY_SEC, from_end=True),
    "pg-hour-away": Bound(CONNECT_SEC + BUSY_SEC, from_end=True),
}


@dataclass(frozen=True, slots=True)
class Times:
    """When a fault began and ended, and when something new was acknowledged; monotonic seconds."""

    began_sec: float
    ended_sec: float
    answered_sec: Sequence[float]

    def longest_gap(self, since_sec: float | None = None) -> float:
        """The longest time without an answer, of which only what is after `since` counts.

        From the beginning when `since` is not given, with what went before it of that one gap.
        """
        answered = sorted(self.answered_sec)
        earlier = [at for at in answered if at <= self.began_sec]
        later = [at for at in answered if at > self.began_sec]
        begins = [earlier[-1] if earlier else self.began_sec, *later]
        gaps = zip(begins, later, strict=False)
        return max((to - max(at, since_sec or at) for at, to in gaps), default=0.0)

    def outage(self, bound: Bound) -> float:
        """What the bound is for, in seconds."""
        return self.longest_gap(self.ended_sec if bound.from_end else self.began_sec)
