"""The programs of the page of devices, through a network that breaks: all stored, nothing twice."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.broken_network import SPOILED, Fate, broken_network
from tests.e2e.senders import HOST
from tests.e2e.service import Service, wait_until

pytestmark = pytest.mark.tools

MICROPYTHON = shutil.which("micropython")
needs_micropython = pytest.mark.skipif(
    MICROPYTHON is None, reason="micropython is not installed: the Pico's program is not tested"
)
needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
HOUR_MS = 3_600_000
READINGS = 40
WITHIN_SEC = 60

# What a board measures; the gas resistance numbers it. The degree sign is two bytes.
VALUES = """{
    "co2": 400, "temperature": "20.5°C", "humidity": 50, "pressure": 1000, "gas_res": n
}"""
OF_FOUR_SENSORS = """{
    "mh_z19": {"co2": 400}, "mq_2": {"analog_value": n, "voltage": 1},
    "ds18b20": {"temperature": 20}, "dht11": {"temperature": 20, "humidity": 50}
}"""
PICO = f"""
import time
import pico

pico.HOST, pico.PORT, pico.TIMEOUT_SEC, pico.TOGETHER_MAX = "{HOST}", NETWORK, 1, 7
n = {READINGS}
pico.waiting.append(("an hour ago", time.ticks_add(time.ticks_ms(), -{HOUR_MS}), {VALUES}))
for n in range({READINGS}):
    pico.keep({VALUES})
    pico.send()
for _ in range(20):
    pico.send()
print("left", len(pico.waiting))
"""
# Its Python has no `network`, as a board without Wi-Fi; the broken steps are those of the board.
LOOP = f"""
import json
import pico

pico.HOST, pico.PORT, pico.EVERY_MS, pico.TOGETHER_MAX = "{HOST}", NETWORK, 10, 20
n = -1


class SmallBoard:
    def dumps(self, items):
        # Nothing is sent at first, so that many wait.
        if n < 8 or len(items) > 3:
            raise MemoryError("memory allocation failed")
        return json.dumps(items)


def measured():
    global n
    n += 1
    if n == {READINGS}:
        raise SystemExit
    return {OF_FOUR_SENSORS}


pico.json = SmallBoard()
pico.measured = measured
try:
    pico.run()
finally:
    print("left", len(pico.waiting))
"""
POSTS = f"""
import MODULE
url, headers = "http://{HOST}:NETWORK/data", {{"Content-Type": "application/json"}}
for n in range(2):
    body = {{"pressure": 1013.25, "temperature": "25.1C"}}
    answer = MODULE.post(url, json=body, headers=headers) if n else MODULE.post(url, json=body)
    print(answer.status_code, answer.json()["status"])
    answer.close()
"""
# What `make .venv/.tools` has installed for boards: urequests of micropython-lib, January 2018.
BOARDS = Path(sys.prefix) / "boards"
COMPUTER = f"""
import json
import computer

computer.URL, computer.TIMEOUT_SEC = "http://{HOST}:NETWORK/api/v1/readings", 1
database = computer.open_waiting()
for n in range(FIRST, FIRST + {READINGS // 2}):
    computer.keep(database, {VALUES})
    computer.send(database)
for _ in range(RETRIES):
    computer.send(database)
print("left", database.execute("SELECT count(*) FROM waiting").fetchone()[0])
"""


def program(service: Service, endpoint: str, kind: str, folder: Path) -> Path:
    """The program for a station as the page gives it, in a file of that name."""
    path = folder / kind
    path.write_bytes(service.get(f"/devices/{endpoint}/{kind}").body)
    return path


def run(command: list[str | Path], folder: Path, **more: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **more}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=WITHIN_SEC,
        check=False,
    )
    return done.stdout


def wait_for_numbers(
    service: Service, endpoint: str, count: int, column: str = "gas_resistance"
) -> None:
    """Return when these numbers are stored, each once, and nothing else of the station."""
    query = f"SELECT {column} FROM readings WHERE endpoint = ? ORDER BY 1"

    def stored() -> list[float]:
        return [number for (number,) in service.rows(query, endpoint)]

    wait_until(lambda: len(stored()) >= count, 60, f"{count} readings of {endpoint}")
    assert stored() == list(range(count))
    assert service.rows("SELECT count(*) FROM rejected") == [(0,)]


@needs_micropython
def test_the_program_of_the_pico(running: Service, tmp_path: Path) -> None:
    program(running, "data2", "pico.py", tmp_path)
    with broken_network(running.port) as network:
        (tmp_path / "run.py").write_text(
            PICO.replace("NETWORK", str(network.port)), encoding="utf-8"
        )
        output = run([str(MICROPYTHON), "run.py"], tmp_path)
        assert network.happened[: len(SPOILED)] == list(SPOILED)
    assert output.endswith("left 0\n")
    wait_for_numbers(running, "data2", READINGS + 1)
    query = "SELECT arrived_at - received_at FROM readings WHERE gas_resistance = ?"
    ((age_ms,),) = running.rows(query, READINGS)
    assert age_ms == pytest.approx(HOUR_MS, abs=60_000)


@needs_micropython
def test_no_step_that_fails_ends_the_program_of_the_pico(running: Service, tmp_path: Path) -> None:
    program(running, "data4", "pico.py", tmp_path)
    script = tmp_path / "run.py"
    script.write_text(LOOP.replace("NETWORK", str(running.port)), encoding="utf-8")
    output = run([str(MICROPYTHON), "run.py"], tmp_path)
    assert output.endswith("left 0\n")
    assert output.count("not connected: no module named 'network'") == READINGS
    assert output.count("not sent: memory allocation failed") == 8
    wait_for_numbers(running, "data4", READINGS, "analog_value")


@pytest.mark.parametrize(("module", "lines"), [("urequests", 2), ("requests", 1)])
def test_the_library_that_programs_for_boards_post_with(
    running: Service, tmp_path: Path, module: str, lines: int
) -> None:
    """Of 2018, and the one that MicroPython has built in today."""
    if module == "urequests" and not (BOARDS / "urequests.py").is_file():
        pytest.skip("urequests is not installed: make .venv/.tools")
    before = running.count()
    with broken_network(running.port, ()) as network:
        text = POSTS.replace("NETWORK", str(network.port)).replace("MODULE", module)
        (tmp_path / "run.py").write_text(text, encoding="utf-8")
        path = {"MICROPYPATH": f"{BOARDS}:.frozen"}
        output = run([str(MICROPYTHON), "run.py"], tmp_path, **path)
    assert output == "200 enqueued\n" * 2
    content_type = b"\r\nContent-Type: application/json"
    assert [request.count(content_type) for request in network.requests] == [1, lines]
    running.wait_for_rows(before + 2)


def test_the_program_of_a_computer(running: Service, tmp_path: Path) -> None:
    program(running, "data3", "computer.py", tmp_path)
    began = time.time()
    with broken_network(running.port) as network:
        text = COMPUTER.replace("NETWORK", str(network.port))
        # It ends with readings unsent, and goes on with them after a new start.
        for first, retries in ((0, 0), (READINGS // 2, 20)):
            filled = text.replace("FIRST", str(first)).replace("RETRIES", str(retries))
            (tmp_path / "run.py").write_text(filled, encoding="utf-8")
            output = run([sys.executable, "run.py"], tmp_path)
        assert network.happened[: len(SPOILED)] == list(SPOILED)
    assert output.endswith("left 0\n")
    wait_for_numbers(running, "data3", READINGS)
    ((first_ms, last_ms),) = running.rows(
        "SELECT min(received_at), max(received_at) FROM readings WHERE endpoint = 'data3'"
    )
    assert began <= first_ms / 1000 + 0.001 <= last_ms / 1000 <= time.time()


@needs_curl
def test_the_program_of_the_shell(running: Service, tmp_path: Path) -> None:
    query = "SELECT count(*) FROM readings WHERE endpoint = 'data'"
    ((before,),) = running.rows(query)
    script = program(running, "data", "shell.sh", tmp_path)
    text = script.read_text(encoding="utf-8")
    fates: tuple[Fate, ...] = ("loses the answer", "is refused", "loses the request")
    with broken_network(running.port, fates) as network:
        address = f"{HOST}:{network.port}"
        assert f"raspberrypi.local:{running.port}" in text
        script.write_text(text.replace(f"raspberrypi.local:{running.port}", address), "utf-8")
        for _ in range(5):
            run(["sh", script], tmp_path)
        assert network.happened[:3] == list(fates)
    wait_until(lambda: running.rows(query) == [(before + 5,)], 60, "five readings")
    assert list((tmp_path / "waiting-data").iterdir()) == []
