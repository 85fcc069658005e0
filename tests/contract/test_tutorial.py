"""The program of the tutorial runs as on a Pico, and its readings are accepted."""

import builtins
from types import SimpleNamespace
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.contract.test_docs import blocks, read

TUTORIAL = "docs/en/tutorial/first-reading.md"


class EndOfTest(Exception):
    """Ends the program's endless loop, in the pause after its last round."""


class Board:
    """What MicroPython has and CPython does not; notes what the program does with it."""

    def __init__(self, client: FlaskClient, rounds: int) -> None:
        self.client = client
        self.rounds = rounds
        self.pauses: list[float] = []
        self.posted: list[SimpleNamespace] = []
        self.closed = 0
        self.connected = False
        self.failure: Exception | None = None
        self.values = ("25.10C", "1013.25hPa", "52.00%")

    def connect(self, _name: str, _password: str) -> None:
        self.connected = True

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if len(self.pauses) == self.rounds:
            raise EndOfTest

    def close(self) -> None:
        self.closed += 1

    def post(
        self, url: str, data: bytes, headers: dict[str, str], timeout: float
    ) -> SimpleNamespace:
        if self.failure is not None:
            raise self.failure
        answer = self.client.post(
            url.removeprefix("http://<host>:8888"), data=data, headers=headers
        )
        self.posted.append(SimpleNamespace(data=data, timeout=timeout, status=answer.status_code))
        return SimpleNamespace(
            status_code=answer.status_code, text=answer.get_data(as_text=True), close=self.close
        )

    def modules(self) -> dict[str, SimpleNamespace]:
        wifi = SimpleNamespace(
            isconnected=lambda: self.connected, active=lambda _on: None, connect=self.connect
        )
        return {
            "network": SimpleNamespace(STA_IF=0, WLAN=lambda _interface: wifi),
            "machine": SimpleNamespace(I2C=lambda _bus, sda, scl: None, Pin=lambda _number: None),
            "bme280_float": SimpleNamespace(BME280=lambda i2c: self),
            "requests": SimpleNamespace(post=self.post),
            "time": SimpleNamespace(sleep=self.sleep),
        }

    def run(self, program: str) -> None:
        """Run the program with the board's modules; only its own imports see them."""
        modules = self.modules()

        def imported(name: str, *rest: Any) -> Any:
            return modules[name] if name in modules else builtins.__import__(name, *rest)

        names = {"__builtins__": vars(builtins) | {"__import__": imported}}
        with pytest.raises(EndOfTest):
            exec(compile(program, "main.py", "exec"), names)


@pytest.fixture
def program() -> str:
    (program,) = blocks(read(TUTORIAL), "python")
    return program


@pytest.mark.parametrize("temperature", ["25.10C", "25.10°C"])
def test_the_program_sends_readings_that_are_accepted(
    client: FlaskClient, program: str, temperature: str
) -> None:
    board = Board(client, rounds=2)
    board.values = (temperature, "1013.25hPa", "52.00%")

    board.run(program)

    assert [sent.status for sent in board.posted] == [200, 200]
    assert all(isinstance(sent.data, bytes) and sent.timeout <= 5 for sent in board.posted)
    assert board.closed == len(board.posted)
    assert board.pauses == [60, 60]


@pytest.mark.parametrize("failure", [OSError(110, "ETIMEDOUT"), ValueError("no HTTP")])
def test_the_program_goes_on_after_a_failure(
    client: FlaskClient, program: str, failure: Exception
) -> None:
    board = Board(client, rounds=3)
    board.failure = failure

    board.run(program)

    assert board.pauses == [60, 60, 60]
