"""How often a commit and a page go to the server and back, counted on the way.

A flight is all that a host sends before the server answers. Each costs the time of the network,
and while the row of the log is locked no other host commits.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from urllib.parse import urlsplit

import pytest
from sqlalchemy import BigInteger, bindparam, func, select

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.postgres import driver
from flask10x.database.tables import csv_files, readings
from flask10x.recording.accepted_keys import key_of
from flask10x.recording.batch import Receipt
from tests.e2e.service import wait_until
from tests.postgres.hosts import Hosts
from tests.postgres.service import WITHIN_SEC, writer_on
from tests.support import postgres
from tests.support.rows import insert_readings, pico

LOCKS, ENDS = b"FOR UPDATE", b"COMMIT"
CHUNK_BYTES = 65_536


class Way:
    """A way to the server of the tests on which flights are noted."""

    def __init__(self) -> None:
        self.flights: list[bytes] = []
        """What was sent, in the order in which it was; a flight ends with the first answer."""
        self.ended = 0
        """How many connections have ended on one of their sides, the end being known to both."""
        self._listening = socket.create_server((postgres.HOST, 0))
        self._sockets: list[socket.socket] = []
        self._in_thread(self._accept)

    def url(self, url: str) -> str:
        """The same database, on this way."""
        port = self._listening.getsockname()[1]
        return url.replace(f":{urlsplit(url).port}/", f":{port}/")

    def counted(self, run: Callable[[], object]) -> tuple[int, int]:
        """How many flights that takes, and how many of them while the row of the log is locked."""
        self.flights.clear()
        run()
        flights = list(self.flights)
        locked = [place for place, flight in enumerate(flights) if LOCKS in flight]
        ends = [place for place, flight in enumerate(flights) if ENDS in flight]
        return len(flights), ends[-1] - locked[0] + 1 if locked else 0

    def have_ended(self, number: int) -> bool:
        """Whether so many of them have."""
        return self.ended >= number

    def close(self) -> None:
        """Cut all connections."""
        for each in (self._listening, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                host, _ = self._listening.accept()
                server = socket.create_connection((postgres.HOST, postgres.shared().port))
                self._sockets += [host, server]
                sent = Sent(self.flights)
                self._in_thread(partial(self._carry, host, server, sent.note))
                self._in_thread(partial(self._carry, server, host, sent.answered))

    def _carry(
        self, source: socket.socket, target: socket.socket, note: Callable[[bytes], None]
    ) -> None:
        with suppress(OSError):
            while content := source.recv(CHUNK_BYTES):
                note(content)
                target.sendall(content)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
        self.ended += 1

    def _in_thread(self, run: Callable[[], object]) -> None:
        threading.Thread(target=run, daemon=True).start()


class Sent:
    """What one connection sends."""

    def __init__(self, flights: list[bytes]) -> None:
        self._flights = flights
        self._place: int | None = None

    def note(self, content: bytes) -> None:
        if self._place is None:
            self._flights.append(b"")
            self._place = len(self._flights) - 1
        self._flights[self._place] += content

    def answered(self, _content: bytes) -> None:
        self._place = None


@pytest.fixture
def way() -> Iterator[Way]:
    with closing(Way()) as way:
        yield way


@pytest.fixture
def settings(hosts: Hosts, way: Way, monkeypatch: pytest.MonkeyPatch) -> Settings:
    # On a busy machine as on an idle one.
    monkeypatch.setattr(driver, "HEARD_WITHIN_SEC", float("inf"))
    url = way.url(postgres.shared().url(hosts.name))
    return hosts.settings("one", DATABASE_URL=url, ACK="committed")


@contextmanager
def database_on(settings: Settings) -> Iterator[Database]:
    with closing(Database(settings)) as database:
        yield database


def test_a_reading_is_committed_in_one_flight(settings: Settings, way: Way) -> None:
    with writer_on(settings) as writer:
        # The first commit opens the connection, and asks what later ones know.
        for number in range(3):
            receipt = Receipt()
            writer.submit(pico(number), receipt)
            flights = way.counted(writer.step)
            assert receipt.wait(0)
        assert flights == (1, 1)


def test_a_reading_with_a_key_is_committed_in_two_flights(settings: Settings, way: Way) -> None:
    with writer_on(settings) as writer:
        for number in range(3):
            receipt = Receipt()
            writer.submit(pico(number), receipt, key_of("data", bytes([number])))
            flights = way.counted(writer.step)
            assert receipt.wait(0)
            assert not receipt.is_duplicate
        assert flights == (2, 2)
        repeated = Receipt()
        writer.submit(pico(2), repeated, key_of("data", bytes([2])))
        assert way.counted(writer.step) == (2, 2)
        assert repeated.is_duplicate


def test_a_batch_takes_no_more_than_one_reading(settings: Settings, way: Way) -> None:
    with writer_on(settings) as writer:
        for first in (0, 100, 200):
            for number in range(first, first + 100):
                writer.submit(pico(number), key=key_of("data", str(number).encode()))
            flights = way.counted(writer.step)
        assert flights == (2, 2)


def test_a_change_takes_the_turn_before_it_looks_at_anything(settings: Settings, way: Way) -> None:
    with database_on(settings) as database:

        def change() -> None:
            database.commit_change(lambda connection: insert_readings(connection, [pico(1)]))

        change()
        assert way.counted(change) == (2, 2)


def test_a_page_has_no_flight_but_those_of_its_queries_and_its_end(
    settings: Settings, way: Way
) -> None:
    with database_on(settings) as database:

        def page() -> None:
            with database.query() as connection:
                for table in (readings, csv_files, readings):
                    connection.execute(select(func.count()).select_from(table)).all()

        page()
        assert way.counted(page) == (4, 0)

        def nothing() -> None:
            with database.query():
                pass

        assert way.counted(nothing) == (0, 0)

        def without_limit() -> None:
            with database.reader.begin() as connection:
                connection.execute(select(func.count()).select_from(readings)).all()

        def in_pieces() -> None:
            with database.query() as connection:
                many = select(func.generate_series(1, 5)).execution_options(yield_per=2)
                assert len(connection.execute(many).all()) == 5

        in_pieces()

        # It may be silent for minutes after its begin, and for seconds before.
        assert way.counted(without_limit) == (3, 0)


@pytest.mark.parametrize("number", [-(2**63), -1, 0, 2**63 - 1])
def test_a_whole_number_comes_back_as_it_is(settings: Settings, number: int) -> None:
    """Merged with the statement a cast would concern the number without its sign."""
    with database_on(settings) as database, database.query() as connection:
        given = select(bindparam("number", number, type_=BigInteger))
        assert connection.execute(given).scalar_one() == number


def test_a_server_that_was_restarted_is_found_again_without_an_error(
    settings: Settings, way: Way, hosts: Hosts
) -> None:
    """Without having been asked: its end is known from the connection."""
    # Other tests have databases of their own on the server.
    ours = "application_name = %s AND datname = current_database()"
    end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}"
    with writer_on(settings) as writer, database_on(settings) as database:
        for number in range(2):
            writer.submit(pico(number))
            assert writer.step() == 1
            with database.query() as connection:
                count = connection.execute(select(func.count()).select_from(readings))
                assert count.scalar_one() == number + 1
            ended = way.ended + len(hosts.run(end, "flask10x one"))
            wait_until(partial(way.have_ended, ended), WITHIN_SEC, "the ends are known")
