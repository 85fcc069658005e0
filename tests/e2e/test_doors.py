"""The senders of other services against a running one, with no more changed than the host."""

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import make_services
from tests.e2e.senders import HOST, Answer, raw_connection, read_answer
from tests.e2e.service import PATIENCE_SEC, PROJECT, Service
from tests.support import foreign_requests as sent
from tests.support.balcony import BALCONY_TOML

NODE = shutil.which("node")
CLIENT = PROJECT / "node_modules" / "ambient-lib"
# As the client's own page has it, but for the host.
PROGRAM = """
const Ambient = require('ambient-lib');
const ambient = new Ambient(%s, '%s');
ambient.host = 'http://127.0.0.1:%d';
const data = [{created: '2026-11-26 12:00:00', d1: 25.1, d2: 52}, {d1: 25.2, d2: 53}];
ambient.send(data, response => console.log(response.status));
"""
AIRROHR_STATION = """
[stations.feinstaub]
influx = "feinstaub"
influx_tags = { node = "esp8266-123" }

[stations.feinstaub.measurements.temperature]
unit = "°C"
minimum = -50
maximum = 150
influx = "BME280_temperature"

[stations.feinstaub.measurements.humidity]
unit = "%"
minimum = 0
maximum = 100
influx = "BME280_humidity"
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that asks every sender for the key of the recorded requests."""
    folder = tmp_path_factory.mktemp("home")
    tokens = folder / "write-tokens"
    tokens.write_text(f"balcony {sent.WRITE_KEY}\nfeinstaub {sent.WRITE_KEY}\n")
    tokens.chmod(0o600)
    with make_services(folder) as make:
        made = make(start=False, ack="committed", write_tokens_file=tokens)
        made.data_dir.mkdir(parents=True)
        stations = made.data_dir / "stations.toml"
        stations.write_text(BALCONY_TOML + AIRROHR_STATION, encoding="utf-8")
        made.start()
        yield made


def answer_to(service: Service, request: bytes) -> Answer:
    with raw_connection(service.port) as sock:
        sock.sendall(request.replace(b"{host}", f"{HOST}:{service.port}".encode()))
        return read_answer(sock)


def readings(service: Service, endpoint: str) -> list[tuple[float, float]]:
    query = "SELECT temperature, humidity FROM readings WHERE endpoint = ? ORDER BY id"
    return service.rows(query, endpoint)


def test_recorded_senders_are_understood_and_their_readings_stored(home: Service) -> None:
    one = {"accepted": 1, "duplicate": 0, "refused": 0}
    of_ambient = (
        *(sent.AMBIENT_PYTHON, sent.AMBIENT_MICROPYTHON, sent.AMBIENT_UREQUESTS),
        sent.AMBIENT_ARDUINO,
    )
    for request in of_ambient:
        answer = answer_to(home, request)
        assert (answer.status, answer.json) == (200, one), request
    assert readings(home, "balcony") == [(25.1, 52.0)] * 4
    for request in (sent.TELEGRAF_V1, sent.TELEGRAF_V2, sent.ESPHOME, sent.AIRROHR):
        answer = answer_to(home, request)
        assert (answer.status, answer.body) == (204, b""), request
        assert "content-type" not in answer.headers
    # Version 2 brought the readings of version 1 again, and ESPHome others of that moment.
    assert readings(home, "balcony")[4:] == [(25.1, 52.5), (25.2, 53.0)]
    assert readings(home, "feinstaub") == [(25.1, 52.5)]
    # Another key, and none.
    other = sent.AMBIENT_ARDUINO.replace(sent.WRITE_KEY.encode(), b"fedcba9876543210")
    none = sent.ESPHOME.replace(b"Authorization", b"X-Authorization")
    assert [answer_to(home, request).status for request in (other, none)] == [401, 401]
    query = sent.AIRROHR.replace(b"Authorization", b"X-Authorization")
    query = query.replace(b"?db=", f"?u=x&p={sent.WRITE_KEY}&db=".encode())
    assert answer_to(home, query).status == 204


@pytest.mark.skipif(NODE is None, reason="there is no Node.js: Ambient's client is not run here")
@pytest.mark.skipif(not CLIENT.is_dir(), reason="Ambient's client is missing: npm ci")
def test_ambients_own_client_sends_here(home: Service) -> None:
    program = PROGRAM % (sent.CHANNEL, sent.WRITE_KEY, home.port)
    ran = subprocess.run(
        [str(NODE), "-e", program],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SEC * 3,
        check=True,
    )
    assert ran.stdout == "200\n"
    assert readings(home, "balcony")[-2:] == [(25.1, 52.0), (25.2, 53.0)]
