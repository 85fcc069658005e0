"""The 5,000 readings of the bedroom: each exactly once in everything that leaves."""

import importlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from urllib.parse import urljoin, urlsplit
from zoneinfo import ZoneInfo

import pytest

from tests.e2e.conftest import MakeService
from tests.e2e.load import Load
from tests.e2e.senders import LATEST_ANSWER_SEC, Client, check_ingest_answer
from tests.e2e.service import Service
from tests.support import bedroom
from tests.support.rows import insert_series

CLIENTS = 4
READINGS = 5000
NAMES = ("co2", "temperature", "humidity", "pressure", "gas_res")
QUERY = "SELECT co2, temperature, humidity, pressure, gas_resistance FROM readings"
HEADER = b"current_time,CO2,Tempereture,Humidity,Pressure,GasResistance\r\n"
HISTORY_ROWS = 60_000
# What each of them has in common.
REPEATED = ("endpoint", "received_at", "co2", "temperature", "humidity", "pressure")

Values = tuple[float, ...]


def values_of(body: bytes) -> Values:
    reading = json.loads(body)
    return tuple(float(reading[name]) for name in NAMES)


class Senders:
    """Four clients that share the bodies; two keep their connection, two open one each time."""

    def __init__(self, port: int, bodies: Sequence[bytes]) -> None:
        self.failures: list[object] = []
        self._threads = [
            threading.Thread(target=self._send, args=(port, bodies[index::CLIENTS], index < 2))
            for index in range(CLIENTS)
        ]
        for thread in self._threads:
            thread.start()

    def _send(self, port: int, bodies: Sequence[bytes], keep_alive: bool) -> None:
        client = Client(port, keep_alive=keep_alive)
        try:
            for body in bodies:
                answer = client.post("data2", body)
                check_ingest_answer(answer)
                if (answer.status, answer.json) != (200, {"status": "enqueued"}):
                    self.failures.append(answer)
        except Exception as error:
            self.failures.append(error)
        finally:
            client.close()

    def join(self, meanwhile: Callable[[], None]) -> None:
        """Wait for all clients, doing something again and again meanwhile."""
        while any(thread.is_alive() for thread in self._threads):
            meanwhile()
        for thread in self._threads:
            thread.join()


class GrowingFile:
    """A CSV file as its readers see it: whole lines, and old bytes that never change."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._seen = b""
        self.growths = 0

    def export(self) -> None:
        self._service.export()
        file = self._service.csv_dir / "BedRoomEnv.csv"
        content = file.read_bytes() if file.exists() else b""
        assert content.startswith(self._seen)
        assert not content or content.endswith(b"\r\n")
        self.growths += content != self._seen
        self._seen = content


def history_pages(service: Service) -> list[list[dict[str, object]]]:
    """Every page of the history, newest page first, by following the `next` links."""
    pages, path = [], "/history/json?limit=1000"
    while path:
        answer = service.get(path)
        assert answer.status == 200, answer
        pages.append(answer.json)
        found = re.search(r'<([^>]*)>\s*;\s*rel="?next"?', answer.headers.get("link", ""))
        if found:
            assert not urlsplit(found[1]).netloc, "a link has to be relative"
        path = urljoin(path, found[1]) if found else ""
        assert len(pages) <= READINGS
    return pages


def csv_of_the_database(service: Service) -> bytes:
    """The file that the rows of the database make, built by hand."""
    lines = [HEADER]
    query = QUERY.replace("SELECT", "SELECT received_at,", 1) + " ORDER BY id"
    for epoch_ms, *values in service.rows(query):
        time = datetime.fromtimestamp(epoch_ms // 1000, ZoneInfo("Asia/Tokyo"))
        cells = [f"{time:%Y-%m-%d %H:%M:%S}", *map(str, values)]
        lines.append((",".join(cells) + "\r\n").encode())
    return b"".join(lines)


@pytest.mark.tools
def test_each_reading_is_exactly_once_in_database_history_and_csv(service: MakeService) -> None:
    bodies = bedroom.bodies()
    sent = Counter(map(values_of, bodies))
    assert len(bodies) == sent.total() == READINGS
    running = service()
    csv_file = GrowingFile(running)

    senders = Senders(running.port, bodies)
    senders.join(meanwhile=csv_file.export)
    assert senders.failures == []
    running.wait_for_rows(READINGS)

    assert Counter(running.rows(QUERY)) == sent
    check_history(running, sent)
    check_csv(running, csv_file)
    check_metrics(running)
    running.stop()
    check_log(running)


def check_history(service: Service, sent: Counter[Values]) -> None:
    pages = history_pages(service)
    assert [len(page) for page in pages] == [1000] * 5
    entries = [entry for page in reversed(pages) for entry in page]
    assert all(entry.keys() == {"endpoint", "timestamp", "data"} for entry in entries)
    assert {entry["endpoint"] for entry in entries} == {"data2"}
    stamps = [str(entry["timestamp"]) for entry in entries]
    assert stamps == sorted(stamps), "oldest first within a page, and page after page"
    data = [entry["data"] for entry in entries]
    assert Counter(tuple(each[name] for name in NAMES) for each in map(_mapping, data)) == sent


def _mapping(data: object) -> dict[str, float]:
    assert isinstance(data, dict)
    assert data.keys() == set(NAMES)
    return data


def check_csv(service: Service, csv_file: GrowingFile) -> None:
    csv_file.export()
    file = service.csv_dir / "BedRoomEnv.csv"
    content = file.read_bytes()
    assert content == csv_of_the_database(service)
    assert csv_file.growths > 1, "no export ran while the service wrote"
    service.export()
    service.export_by_cron()
    assert file.read_bytes() == content, "a second export has nothing to append"

    # Loading it takes a second, which every process of the tests would need.
    pandas = importlib.import_module("pandas")
    frame = pandas.read_csv(file, parse_dates=["current_time"])
    assert len(frame) == READINGS
    assert frame["current_time"].dtype.kind == "M"
    assert not frame.isna().any().any()
    columns = ["CO2", "Tempereture", "Humidity", "Pressure", "GasResistance"]
    assert [str(frame[column].dtype) for column in columns] == ["float64"] * 5


def check_metrics(service: Service) -> None:
    metrics = service.get("/metrics").json
    assert metrics["write_success_total"] == READINGS
    assert metrics["write_error_total"] == 0
    assert metrics["queue_length"] == 0


def check_log(service: Service) -> None:
    """One INFO line a reading, none lost by two workers sharing the file (contract, section 4)."""
    line = re.compile(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO /data2 OK enqueued co2=\S+ temperature=\S+"
        r" humidity=\S+ pressure=\S+ gas_res=\S+ queue_size=\d+"
    )
    assert sum(1 for each in service.log() if line.fullmatch(each)) == READINGS


@pytest.mark.tools
def test_ingest_is_answered_in_time_while_a_long_history_is_exported(service: MakeService) -> None:
    running = service()
    running.post("data2", {"co2": 1, "temperature": 2, "humidity": 3, "pressure": 4, "gas_res": 5})
    running.wait_for_rows(1)
    running.stop()
    fill(running)
    running.start()

    load = Load(running.port)
    with load.running():
        running.export()
    assert load.statuses.keys() == {200}
    assert load.broken == []
    assert load.slowest_sec < LATEST_ANSWER_SEC
    running.wait_for_rows(1 + HISTORY_ROWS + len(load.acknowledged))
    running.export()
    lines = (running.csv_dir / "BedRoomEnv.csv").read_bytes().count(b"\r\n")
    assert lines == 1 + 1 + HISTORY_ROWS + len(load.acknowledged)


def fill(service: Service) -> None:
    """Repeat the stopped service's only reading until its history is long."""
    first = {name: f"(SELECT {name} FROM readings)" for name in REPEATED}
    first["received_at"] += " + i"
    insert_series(service.database, HISTORY_ROWS, **first, gas_resistance="-i")
