"""A real broker, mosquitto, and `flask10x mqtt` beside it: each a process that can be killed."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from paho.mqtt import publish

from tests.e2e.senders import HOST
from tests.e2e.service import PATIENCE_SEC, Service, reserved_port, wait_until

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
needs_mosquitto = pytest.mark.skipif(
    MOSQUITTO is None, reason="mosquitto is not installed: MQTT is not tested with a real broker"
)
# As docs/en/howto/mqtt.md has it, but for the port and who may sign in.
CONFIGURATION = """\
listener {port} 127.0.0.1
allow_anonymous true
user root
persistence true
persistence_location {folder}/
autosave_on_changes true
autosave_interval 1
max_queued_messages 0
"""


class _Process:
    """Something that is started, killed and started again."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None

    def output(self) -> str:
        """What it has written so far."""
        return self._output.read_text(errors="replace") if self._output.exists() else ""

    def _launch(self, command: list[str], environment: dict[str, str]) -> None:
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
            )

    def end(self, how: signal.Signals = signal.SIGKILL) -> int:
        """Signal it and wait for its end; its exit status."""
        if self._process is None:
            return 0
        self._process.send_signal(how)
        status = self._process.wait(PATIENCE_SEC)
        self._process = None
        return status


class Mosquitto(_Process):
    """The broker, with persistence."""

    def __init__(self, folder: Path, port: int) -> None:
        folder.mkdir()
        super().__init__(folder / "output.txt")
        self.port = port
        self._kept = folder / "mosquitto.db"
        self._configuration = folder / "mosquitto.conf"
        self._configuration.write_text(CONFIGURATION.format(port=port, folder=folder))

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._launch([str(MOSQUITTO), "-c", str(self._configuration)], dict(os.environ))
        wait_until(self._answers, PATIENCE_SEC, f"mosquitto answers\n{self.output()}")

    def _answers(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex((HOST, self.port)) == 0

    def publish(self, topic: str, payloads: Iterable[str], *, retain: bool = False) -> None:
        """Return when the broker has acknowledged each (QoS 1)."""
        messages = [(topic, payload, 1, retain) for payload in payloads]
        publish.multiple(messages, hostname=HOST, port=self.port)  # type: ignore[arg-type]

    def keeps(self, text: str) -> bool:
        """Whether a message with this text is in the file that the broker has written."""
        return self._kept.exists() and text.encode() in self._kept.read_bytes()


class Bridge(_Process):
    """`flask10x mqtt` for a service."""

    def __init__(self, service: Service, broker: Mosquitto) -> None:
        super().__init__(service.folder / "mqtt.txt")
        self._service = service
        self._settings = {"FLASK10X_MQTT_URL": f"mqtt://{HOST}:{broker.port}"}

    def start(self) -> None:
        """Start it and wait until it is connected."""
        before = self._connected()
        environment = self._service.environment | self._settings
        self._launch([self._service.python, "-m", "flask10x", "mqtt"], environment)
        wait_until(lambda: self._connected() > before, PATIENCE_SEC, f"connected\n{self.output()}")

    def _connected(self) -> int:
        return self.output().count("Connected to the broker")


@contextmanager
def mosquitto(folder: Path) -> Iterator[Mosquitto]:
    """A broker that runs, and is ended with the block."""
    with reserved_port() as port:
        broker = Mosquitto(folder, port)
        try:
            broker.start()
            yield broker
        finally:
            broker.end()


@contextmanager
def bridge(service: Service, broker: Mosquitto) -> Iterator[Bridge]:
    """The command for a service, connected, and ended with the block."""
    made = Bridge(service, broker)
    try:
        made.start()
        yield made
    finally:
        made.end()
