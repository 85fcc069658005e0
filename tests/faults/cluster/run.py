"""A run: boards send, programs read along, and one fault after the other happens meanwhile.

A fault that has hit nothing fails the run, and so does one after which nothing is acknowledged
within its bound (`bounds.py`).
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import create_engine, text

from tests.e2e.service import Service, wait_until
from tests.faults.cluster.boards import UNKEYED_FROM, Board, UnkeyedBoard, boards
from tests.faults.cluster.bounds import BOUNDS, Times
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
UNKEYED = ("sent", "acknowledged", "stored")
MISSED = ("missed_by_sql", "missed_by_http")
# Once all is mended: a board may have to wait for its time limit at either host.
ALL_ANSWERED_WITHIN_SEC = 60.0
CAUGHT_UP_WITHIN_SEC = 60.0


@dataclass(frozen=True, slots=True)
class Turn:
    """One fault, and what the boards noticed of it."""

    fault: str
    times: int
    nothing_accepted_sec: float
    """The longest time between two readings that were acknowledged, whoever sent them."""
    outage_sec: float
    """The part of it for which there is a bound (`bounds.py`)."""
    counted: Counter[str]

    def check(self) -> None:
        """It has hit something, somebody has noticed, and all went on within its bound."""
        bound = BOUNDS[self.fault]
        assert self.times > 0, f"the fault has hit nothing: {self}"
        if bound.is_noticed:
            assert self.counted["refused"] + self.counted["unanswered"], f"nobody noticed: {self}"
        assert self.outage_sec <= bound.within_sec, f"later than {bound.within_sec} s: {self}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run has shown, once it was compared with the table."""

    turns: Sequence[Turn]
    seconds: float
    acknowledged: int
    stored: int
    unkeyed: Counter[str]
    """How many without a key were `sent` and `acknowledged`, and how many are `stored`."""
    differences: Counter[str]
    """What is lost, doubled or missed; none of it, or the test has failed."""


@dataclass(slots=True)
class Run:
    """Everything that runs, and what was seen so far."""

    boards: Sequence[Board]
    unkeyed: Sequence[UnkeyedBoard]
    by_sql: SqlFollower
    by_http: HttpFollower
    exporter: Exporter
    url: str
    turns: list[Turn] = field(default_factory=list)
    began_sec: float = field(default_factory=time.monotonic)

    @property
    def senders(self) -> Sequence[Board | UnkeyedBoard]:
        """Those with keys, and those without."""
        return [*self.boards, *self.unkeyed]

    def take_turn(self, fault: str, happen: Callable[[], int], mend: Callable[[], None]) -> Turn:
        """Let the fault happen, wait until all is well and each board has had an answer.

        The turn still has to be checked.
        """
        before, began_sec = self._counted(), time.monotonic()
        times = happen()
        ended_sec = time.monotonic()
        mend()
        self.wait_for_answers()
        answered = [at for sender in self.senders for at in [*sender.answered_at_sec]]
        seen = Times(began_sec, ended_sec, answered)
        outage_sec = seen.outage(BOUNDS[fault])
        turn = Turn(fault, times, seen.longest_gap(), outage_sec, self._counted() - before)
        self.turns.append(turn)
        return turn

    def wait_for_answers(self) -> None:
        """Until each board has got more of its numbers answered."""
        seen = self._answers()
        wait_until(
            lambda: all(now > n for now, n in zip(self._answers(), seen, strict=True)),
            ALL_ANSWERED_WITHIN_SEC,
            "each board is answered",
        )

    def _answers(self) -> list[int]:
        return [len(sender.answered_at_sec) for sender in self.senders]

    def _counted(self) -> Counter[str]:
        return Counter(
            sent=sum(sender.sent for sender in self.senders),
            acknowledged=len(self.acknowledged()),
            refused=sum(sender.refused for sender in self.senders),
            unanswered=sum(sender.unanswered for sender in self.senders),
        )

    def acknowledged(self) -> list[int]:
        """The numbers that were answered with 200."""
        keyed = [number for board in self.boards for number in [*board.done]]
        return keyed + [number for board in self.unkeyed for number in [*board.acknowledged]]

    def has_read_all(self, hosts: Sequence[Service]) -> bool:
        """Whether no host has anything left to store, and both programs have read to the end."""
        if any(host.get("/metrics").json["queue_length"] for host in hosts):
            return False
        last_id = max((number for number, _ in self.stored()), default=0)
        return self.by_sql.last_id == self.by_http.last_id == last_id

    def stored(self) -> list[tuple[int, int]]:
        """The id and the number of each reading of the table."""
        engine = create_engine(self.url)
        query = text("SELECT id, gas_resistance FROM readings ORDER BY id")
        with engine.begin() as connection:
            rows = connection.execute(query).fetchall()
        engine.dispose()
        return [(number, int(value)) for number, value in rows]


@contextmanager
def running(hosts: Sequence[Service], url: str) -> Iterator[Run]:
    """Boards with keys and without, two programs that poll, and an export on the first host."""
    by_sql, by_http, exporter = SqlFollower(url), HttpFollower(hosts), Exporter(hosts[0])
    with ExitStack() as stack:
        for follower in (by_sql, by_http):
            stack.callback(follower.close)
            stack.enter_context(going_on(follower.step, POLL_SEC))
        stack.enter_context(going_on(exporter.step, EXPORT_EVERY_SEC))
        keyed, unkeyed = stack.enter_context(boards(hosts))
        run = Run(keyed, unkeyed, by_sql, by_http, exporter, url)
        run.wait_for_answers()
        yield run
        for sender in run.senders:
            sender.stop()
        # On a full machine each export may have met a fault so far.
        wait_until(lambda: run.exporter.succeeded, CAUGHT_UP_WITHIN_SEC, "an export succeeds")
        wait_until(lambda: run.has_read_all(hosts), CAUGHT_UP_WITHIN_SEC, "both have read all")


def checked(run: Run, exporter: Service) -> Outcome:
    """Compare what was answered with the table and with what was read; nothing may differ.

    The CSV file is that of the host that exports.
    """
    seconds = time.monotonic() - run.began_sec
    exporter.export()
    rows = run.stored()
    found = _differences(run, rows, exporter.csv_dir / CSV_NAME)
    surprises = [sender.surprises for sender in run.senders if sender.surprises]
    assert +found == {}, (found, surprises, run.exporter.failed[-3:])
    verified = exporter.command("export", "--verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    unkeyed = Counter(
        sent=sum(board.sent for board in run.unkeyed),
        acknowledged=sum(len(board.acknowledged) for board in run.unkeyed),
        stored=sum(number >= UNKEYED_FROM for _, number in rows),
    )
    return Outcome(run.turns, seconds, len(run.acknowledged()), len(rows), unkeyed, found)


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
            **{f"unkeyed_{name}": outcome.unkeyed[name] for name in UNKEYED},
            "lost": found["lost"],
            "doubled": found["doubled"],
            "missed": sum(found[name] for name in MISSED),
            "csv": found["lacking_in_csv"] + found["too_many_in_csv"],
        },
    )


def _differences(run: Run, rows: Sequence[tuple[int, int]], csv_file: Path) -> Counter[str]:
    in_order = [number for _, number in rows]
    # The number is in the last column.
    lines = csv_file.read_text(encoding="utf-8").splitlines()[1:]
    exported = [int(float(line.rpartition(",")[2])) for line in lines]
    stored, by_sql, by_http = Counter(in_order), Counter(run.by_sql.seen), Counter(run.by_http.seen)
    return _accounted(run, stored) + Counter(
        missed_by_sql=(Counter(rows) - by_sql).total(),
        # Also a reading that was there under another id.
        too_many_by_sql=(by_sql - Counter(rows)).total(),
        missed_by_http=(stored - by_http).total(),
        too_many_by_http=(by_http - stored).total(),
        lacking_in_csv=(stored - Counter(exported)).total(),
        too_many_in_csv=(Counter(exported) - stored).total(),
        other_order_by_sql=run.by_sql.seen != [*rows],
        other_order_by_http=run.by_http.seen != in_order,
        other_order_in_csv=exported != in_order,
        surprises=sum(len(sender.surprises) for sender in run.senders),
    )


def _accounted(run: Run, stored: Counter[int]) -> Counter[str]:
    """What the boards were told, and the table.

    With a key each reading is stored once. Without one each that was acknowledged is, once, for
    none was sent twice; and beside these only what may be stored by the answer it got, or had none.
    """
    done = Counter(number for board in run.boards for number in board.done)
    keyed = Counter({number: times for number, times in stored.items() if number < UNKEYED_FROM})
    unkeyed = stored - keyed
    told = Counter(number for board in run.unkeyed for number in board.acknowledged)
    unsure = {number for board in run.unkeyed for number in board.unsure}
    return Counter(
        lost=(done - keyed).total() + (told - unkeyed).total(),
        doubled=(keyed - done).total() + sum(times > 1 for times in unkeyed.values()),
        stored_though_refused=len(unkeyed.keys() - told.keys() - unsure),
        accepted_twice=sum(times > 1 for b in run.boards for times in b.accepted.values()),
    )
