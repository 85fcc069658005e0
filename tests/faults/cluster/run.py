"""A run: boards send, programs read along, and one fault after the other happens meanwhile."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from sqlalchemy import create_engine, text

from tests.e2e.service import Service, wait_until
from tests.faults.cluster.boards import Board, boards
from tests.faults.cluster.followers import (
    EXPORT_EVERY_SEC,
    POLL_SEC,
    Exporter,
    HttpFollower,
    SqlFollower,
    going_on,
)
from tests.faults.figures import record_outage

CSV_NAME = "BedRoomEnv.csv"
ALL_ANSWERED_WITHIN_SEC = 300.0
CAUGHT_UP_WITHIN_SEC = 300.0


@dataclass(frozen=True, slots=True)
class Turn:
    """One fault, and what the boards noticed of it."""

    fault: str
    times: int
    nothing_accepted_sec: float
    """The longest time between two readings that were acknowledged, whoever sent them."""
    counted: Counter[str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run has shown, once it was compared with the table."""

    turns: Sequence[Turn]
    seconds: float
    acknowledged: int
    stored: int
    differences: Counter[str]
    """What is lost, doubled or missed; none of it, or the test has failed."""


@dataclass(slots=True)
class Run:
    """Everything that runs, and what was seen so far."""

    boards: Sequence[Board]
    by_sql: SqlFollower
    by_http: HttpFollower
    exporter: Exporter
    url: str
    turns: list[Turn] = field(default_factory=list)
    began_sec: float = field(default_factory=time.monotonic)

    def take_turn(self, fault: str, happen: Callable[[], int], mend: Callable[[], None]) -> Turn:
        """Let the fault happen, wait until all is well and each board has had an answer."""
        before, began_sec = self._counted(), time.monotonic()
        times = happen()
        mend()
        self.wait_for_answers()
        gap = longest_gap(self.boards, began_sec)
        turn = Turn(fault, times, gap, self._counted() - before)
        self.turns.append(turn)
        return turn

    def wait_for_answers(self) -> None:
        """Until each board has got more of its numbers answered."""
        seen = [len(board.done) for board in self.boards]
        wait_until(
            lambda: all(len(b.done) > n for b, n in zip(self.boards, seen, strict=True)),
            ALL_ANSWERED_WITHIN_SEC,
            "each board is answered",
        )

    def _counted(self) -> Counter[str]:
        return Counter(
            sent=sum(board.sent for board in self.boards),
            acknowledged=sum(len(board.done) for board in self.boards),
            refused=sum(board.refused for board in self.boards),
            unanswered=sum(board.unanswered for board in self.boards),
        )

    def stored(self) -> list[tuple[int, int]]:
        """The id and the number of each reading of the table."""
        engine = create_engine(self.url)
        query = text("SELECT id, gas_resistance FROM readings ORDER BY id")
        with engine.begin() as connection:
            rows = connection.execute(query).fetchall()
        engine.dispose()
        return [(number, int(value)) for number, value in rows]


def longest_gap(senders: Sequence[Board], began_sec: float) -> float:
    """The longest time in which no board was told that something new is stored."""
    answered = sorted(at for board in senders for at in [*board.answered_at_sec])
    earlier = [at for at in answered if at <= began_sec]
    times = [earlier[-1] if earlier else began_sec, *(at for at in answered if at > began_sec)]
    return max((later - before for before, later in pairwise(times)), default=0.0)


@contextmanager
def running(hosts: Sequence[Service], url: str) -> Iterator[Run]:
    """Eight boards, two programs that poll, and an export on the first host."""
    by_sql, by_http, exporter = SqlFollower(url), HttpFollower(hosts), Exporter(hosts[0])
    with ExitStack() as stack:
        for follower in (by_sql, by_http):
            stack.callback(follower.close)
            stack.enter_context(going_on(follower.step, POLL_SEC))
        stack.enter_context(going_on(exporter.step, EXPORT_EVERY_SEC))
        senders = stack.enter_context(boards(hosts))
        run = Run(senders, by_sql, by_http, exporter, url)
        run.wait_for_answers()
        yield run
        for sender in senders:
            sender.stop()
        done = {number for sender in senders for number in sender.done}
        wait_until(
            lambda: done <= by_sql.numbers and done <= by_http.numbers,
            CAUGHT_UP_WITHIN_SEC,
            "both have read everything",
        )


def checked(run: Run, exporter: Service) -> Outcome:
    """Compare what was answered with the table and with what was read; nothing may differ.

    The CSV file is that of the host that exports.
    """
    seconds = time.monotonic() - run.began_sec
    exporter.export()
    rows = run.stored()
    found = _differences(run, rows, exporter.csv_dir / CSV_NAME)
    surprises = [board.surprises for board in run.boards if board.surprises]
    assert +found == {}, (found, surprises, run.exporter.failed[-3:])
    verified = exporter.command("export", "--verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    acknowledged = sum(len(board.done) for board in run.boards)
    return Outcome(run.turns, seconds, acknowledged, len(rows), found)


def record(outcome: Outcome, server: str) -> None:
    """Keep the figures of a run on this server: a line for each fault, and one for all."""
    for turn in outcome.turns:
        nothing_sec = round(turn.nothing_accepted_sec, 1)
        figures = {"times": turn.times, **turn.counted, "nothing_accepted_sec": nothing_sec}
        record_outage(turn.fault, server, figures)
    found = outcome.differences
    record_outage(
        "pg-all",
        server,
        {
            "seconds": round(outcome.seconds),
            "faults": len(outcome.turns),
            "acknowledged": outcome.acknowledged,
            "stored": outcome.stored,
            "lost": found["lost"],
            "doubled": found["doubled"],
            "missed": found["missed_by_sql"] + found["missed_by_http"],
            "csv": found["lacking_in_csv"] + found["too_many_in_csv"],
        },
    )


def _differences(run: Run, rows: Sequence[tuple[int, int]], csv_file: Path) -> Counter[str]:
    done = Counter(number for board in run.boards for number in board.done)
    stored = Counter(number for _, number in rows)
    # The number is in the last column.
    lines = csv_file.read_text(encoding="utf-8").splitlines()[1:]
    exported = Counter(int(float(line.rpartition(",")[2])) for line in lines)
    return Counter(
        lost=(done - stored).total(),
        doubled=(stored - done).total(),
        missed_by_sql=len(stored.keys() - run.by_sql.numbers),
        missed_by_http=len(stored.keys() - run.by_http.numbers),
        # Also a reading that was there under another id, or in another order.
        differing_ids=len({*run.by_sql.seen} ^ {*rows}),
        lacking_in_csv=(stored - exported).total(),
        too_many_in_csv=(exported - stored).total(),
        accepted_twice=sum(times > 1 for b in run.boards for times in b.accepted.values()),
        surprises=sum(len(board.surprises) for board in run.boards),
    )
