"""The load: what wrk's account gives, and readings at a steady pace."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.bench import beside, servers, wrk
from benchmarks.bench.pace import Pace
from flask10x.readings.legacy_csv import Layout, LegacyReader
from flask10x.readings.stations import BUILT_IN

ACCOUNT = {
    "requests": 1010.0,
    "seconds": 2.0,
    "refused": 10.0,
    "broken": 0.0,
    "p50_ms": 1.0,
    "p99_ms": 2.0,
    "max_ms": 3.0,
}
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n%s\r\nok"
# Nobody waits for it: what is sent is sent as soon as it is due.
FAST = 10_000

Answering = Callable[[list[socket.socket]], None]


@contextmanager
def listening(answering: Answering) -> Iterator[int]:
    """A server that hands each connection to `answering`, with all before it; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    sock, _ = server.accept()
                except OSError:
                    return
                taken.append(sock)
                answering(taken)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for sock in taken:
                sock.close()


def answer(sock: socket.socket, header: bytes = b"") -> None:
    """Read a whole request and answer it."""
    received = b""
    while not received.endswith(b"}"):
        received += sock.recv(4096)
    sock.sendall(ANSWER % header)


def test_a_reading_is_sent_when_it_is_due_also_while_others_wait_for_their_answers() -> None:
    def all_at_last(taken: list[socket.socket]) -> None:
        if len(taken) == 5:
            for sock in taken:
                answer(sock)

    with listening(all_at_last) as port, closing(Pace(port)) as pace:
        pace.run(FAST, 5 / FAST)

    account = pace.account()
    assert (account["accepted"], account["refused"], account["broken"]) == (5, 0, 0)
    assert len(pace.latencies_ms) == 5


def test_a_connection_that_ends_without_an_answer_is_counted() -> None:
    with (
        listening(lambda taken: taken[-1].shutdown(socket.SHUT_RDWR)) as port,
        closing(Pace(port)) as pace,
    ):
        pace.run(FAST, 3 / FAST)

    assert (pace.account()["accepted"], pace.account()["broken"]) == (0, 3)


def test_a_kept_connection_that_the_server_has_closed_is_no_fault() -> None:
    def once(taken: list[socket.socket]) -> None:
        answer(taken[-1])
        taken[-1].close()

    with listening(once) as port, closing(Pace(port, keep_alive=True)) as pace:
        for _ in range(3):
            pace.run(FAST, 1 / FAST)

    assert (pace.account()["accepted"], pace.account()["broken"]) == (3, 0)


def test_a_connection_is_not_used_again_when_the_answer_says_that_it_ends() -> None:
    with (
        listening(lambda taken: answer(taken[-1], b"Connection: close\r\n")) as port,
        closing(Pace(port, keep_alive=True)) as pace,
    ):
        for _ in range(3):
            pace.run(FAST, 1 / FAST)

    assert (pace.account()["accepted"], pace.account()["broken"]) == (3, 0)


def test_a_sender_that_was_itself_late_has_not_kept_its_pace() -> None:
    with closing(Pace(1)) as pace:
        pace.late_ms = [0.0] * 98 + [101.0] * 2
        assert pace.account()["kept_pace"] == 0
        pace.late_ms = [0.0] * 98 + [99.0] * 2
        assert pace.account()["kept_pace"] == 1


def test_only_accepted_readings_count_and_all_processes_cost() -> None:
    values = wrk.values_of(ACCOUNT, [0.1, 0.2, 0.2])

    assert values["per_sec"] == 500
    assert values["cpu_s_per_1000"] == pytest.approx(0.5)
    assert (values["both_busy"], values["refused"]) == (1, 10)


def test_the_account_is_found_in_what_wrk_prints() -> None:
    output = 'Running 1s test\n  2 requests\nACCOUNT {"requests": 2, "seconds": 1.5}\n'

    assert wrk.account_of(output) == {"requests": 2, "seconds": 1.5}
    with pytest.raises(ValueError, match="no account"):
        wrk.account_of("unable to connect\n")


@pytest.mark.parametrize(
    ("shares", "expected"),
    [([1.0, 0.5], True), ([1.0, 0.3], False), ([0.0, 0.0], False), ([1.0], False)],
)
def test_both_workers_are_busy_when_one_has_no_less_than_two_fifths_of_the_other(
    shares: list[float], expected: bool
) -> None:
    assert servers.both_busy(shares) is expected


def test_the_file_to_import_is_one_that_the_old_server_wrote(tmp_path: Path) -> None:
    file = tmp_path / "BedRoomEnv.csv"
    beside.write_old_file(file, 3, since=datetime(1980, 1, 1, tzinfo=UTC))

    header, _, rows = file.read_bytes().partition(b"\r\n")
    layout = Layout(BUILT_IN.by_endpoint["data2"], tuple(header.decode().split(",")))
    block = LegacyReader(layout, UTC).read(rows)
    assert [row[:3] for row in block.rows] == [
        ("data2", 315_532_800_000 + 20_000 * number, 400.0 + number) for number in range(3)
    ]
    assert block.rejections == []
