"""The image under podman: built without a network, stopped, killed and updated under load.

The test listens in systemd's place, as in test_held_port.py, and hands the socket over to podman,
which hands it on to the service. Nothing is left: images and containers are in a folder of the
test, and the mounts of podman in a namespace of its own.
"""

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import pytest

from flask10x import __version__
from tests.e2e.senders import HOST, ask, reading_of
from tests.e2e.service import PROJECT, wait_until
from tests.e2e.test_held_port import HAND_OVER, Senders

# To build the image takes minutes.
pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

READINGS = 2_000
# The image as it is unpacked, as `podman images` says it.
IMAGE_MAX_BYTES = 150_000_000
IMAGE = f"localhost/flask10x:{__version__}"
NEWER = "localhost/flask10x:newer"
USER = 8888
# What compose.yaml starts beside it, of Debian's packages, and what starts in such images.
BESIDE = {
    "mosquitto": """
COPY passwd /etc/passwd
CMD ["/usr/sbin/mosquitto", "-c", "/mosquitto/config/mosquitto.conf"]
""",
    "prometheus": """
ENTRYPOINT ["/usr/bin/prometheus", "--storage.tsdb.path=/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml"]
""",
}
PUBLISH = """
import json, sys
from paho.mqtt.publish import single
body = {"pressure": 1013.25, "temperature": float(sys.argv[1])}
single("home/living", json.dumps(body), qos=1, hostname="mosquitto")
"""
COUNT = """
import json
from urllib.request import urlopen
asked = "http://prometheus:9090/api/v1/query?query=flask10x_readings_stored_total"
found = json.load(urlopen(asked, timeout=10))["data"]["result"]
rows = json.load(urlopen("http://localhost:8888/history/json", timeout=10))
print(len(rows), *(each["value"][1] for each in found))
"""
# What runs containers here may have no control groups of its own; a namespace of mounts has them.
MOUNTS = """
mount --make-rprivate /
umount -l /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
echo ready
exec sleep infinity
"""


@dataclass
class Podman:
    """podman with a storage of its own."""

    leader: int
    environment: dict[str, str]

    def command(self, *words: str) -> list[str]:
        """The command for podman with these words."""
        return ["nsenter", "--mount", f"--target={self.leader}", "podman", *words]

    def run(self, *words: str, said: bool = False) -> str:
        """What it prints, with `said` on stderr too; it has to succeed."""
        done = subprocess.run(
            self.command(*words), env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + (done.stderr if said else "")


@pytest.fixture(scope="module")
def podman() -> Iterator[Podman]:
    needed = ("podman", "mmdebstrap", "unshare", "nsenter")
    missing = [name for name in needed if shutil.which(name) is None]
    if os.geteuid() or missing:
        pytest.skip(f"no image is built and run here: {missing or 'only root may'}")
    folder = Path(tempfile.mkdtemp(prefix="flask10x-podman-", dir="/var/tmp"))
    config = folder / "storage.conf"
    places = f'graphroot = "{folder}/images"\nrunroot = "{folder}/run"\n'
    config.write_text(f'[storage]\ndriver = ""\n{places}')
    environment = {
        **os.environ,
        "CONTAINERS_STORAGE_CONF": str(config),
        "PODMAN_IGNORE_CGROUPSV1_WARNING": "1",
    }
    process = subprocess.Popen(
        ["unshare", "--mount", "bash", "-c", MOUNTS], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    try:
        if process.stdout.readline() != "ready\n":
            pytest.skip("no image is run here: no control groups can be mounted")
        yield Podman(process.pid, environment)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def image(podman: Podman, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image as `make image` makes it, and one that is newer."""
    if not (PROJECT / "flask10x/web/static/vendor/uPlot.iife.min.js").is_file():
        pytest.skip("without the chart library there is no wheel: make static")
    machine = podman.run("info", "--format", "{{.Host.Arch}}").strip()
    into = tmp_path_factory.mktemp("image")
    archive = Path(os.environ.get("RELEASED", into), f"flask10x_{__version__}_{machine}.oci.tar")
    if "RELEASED" not in os.environ:
        words = [sys.executable, str(PROJECT / "deploy/container/image.py"), machine]
        built = subprocess.run(
            [*words, "--into", str(into)],
            env=podman.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert built.returncode == 0, built.stdout + built.stderr
    podman.run("load", "--input", str(archive))
    (into / "Containerfile").write_text(f"FROM {IMAGE}\nLABEL newer=yes\n")
    podman.run("build", "--pull=never", "--tag", NEWER, str(into))
    return IMAGE


@dataclass
class Container:
    """One, with its volume in a folder, behind a socket that stays open while it is away."""

    podman: Podman
    folder: Path
    listener: socket.socket
    image: str
    name: str

    def __post_init__(self) -> None:
        for name in ("data", "memory"):
            (self.folder / name).mkdir()
            os.chown(self.folder / name, USER, USER)

    @property
    def port(self) -> int:
        """The port on which it is asked."""
        port: int = self.listener.getsockname()[1]
        return port

    def start(self) -> None:
        """As flask10x.container starts it, without a wait for its answers."""
        limits = f"--ulimit=nofile={os.sysconf('SC_OPEN_MAX')}"
        words = ["run", "--detach", "--replace", "--name", self.name, "--hostname", self.name]
        words += ["--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", limits]
        words += [
            "--cgroups=disabled",
            "--network=host",
            "--stop-timeout=45",
            "--env=TZ=Asia/Tokyo",
        ]
        words += [f"--env=FLASK10X_BIND={HOST}:{self.port}", "--ulimit=nproc=4096:4096"]
        words += [f"--volume={self.folder}/data:/var/lib/flask10x"]
        words += [f"--volume={self.folder}/memory:/dev/shm", self.image]
        number = self.listener.fileno()
        subprocess.run(
            ["bash", "-c", HAND_OVER, str(number), *self.podman.command(*words)],
            env=self.podman.environment,
            pass_fds=[number],
            check=True,
            capture_output=True,
        )

    def restart(self) -> None:
        """Stop it in order and make it again."""
        self.stop()
        self.start()

    def stop(self) -> None:
        """Stop it; it has to end by itself, with all stored."""
        self.podman.run("stop", self.name)
        state = self.podman.run("inspect", "--format", "{{.State.ExitCode}}", self.name).strip()
        assert state == "0", self.said()
        assert self.said().count("Worker stops: 0 readings not stored") == 2, self.said()

    def kill(self) -> None:
        """kill -9 of all its processes, and the start by `Restart=`."""
        self.podman.run("kill", "--signal", signal.SIGKILL.name, self.name)
        self.podman.run("wait", self.name)
        self.start()

    def update(self) -> None:
        """Make it again from the newer image."""
        self.stop()
        self.image = NEWER
        self.start()

    def said(self) -> str:
        """What `podman logs` has of the container that is there now."""
        return self.podman.run("logs", self.name, said=True)

    def inside(self, *words: str) -> str:
        """What a command in it prints."""
        return self.podman.run("exec", self.name, *words)

    def wait(self) -> None:
        """Return once it answers."""
        wait_until(self._answers, 240, "it answers")

    def _answers(self) -> bool:
        try:
            return ask(self.port, "GET", "/readyz").status == 200
        except (OSError, HTTPException):
            # What listens is the test's socket, also before the service is there.
            return False


@pytest.fixture
def container(podman: Podman, image: str) -> Iterator[Container]:
    folder = Path(tempfile.mkdtemp(prefix="flask10x-container-", dir="/var/tmp"))
    with socket.create_server((HOST, 0), backlog=4096) as listener:
        container = Container(podman, folder, listener, image, folder.name)
        try:
            yield container
        finally:
            podman.run("rm", "--force", "--time=0", container.name)
            shutil.rmtree(folder)


def test_it_is_as_the_documents_say(container: Container) -> None:
    container.start()
    container.wait()
    size = container.podman.run("image", "inspect", "--format", "{{.Size}}", container.image)
    assert int(size) <= IMAGE_MAX_BYTES
    assert container.inside("id", "-u").strip() == str(USER)
    assert container.inside("date", "+%Z").strip() == "JST"
    assert container.inside("flask10x", "--version").strip() == f"flask10x, version {__version__}"
    container.inside("flask10x-answers")
    with pytest.raises(AssertionError, match="Read-only file system"):
        container.inside("sh", "-c", "date > /opt/flask10x/written")
    with pytest.raises(AssertionError, match="runs in a container of podman"):
        container.inside("flask10x", "service", "update")
    body = json.dumps(reading_of(1)).encode()
    assert ask(container.port, "POST", "/data2", body, "application/json").status == 200
    assert "INFO /data2 OK enqueued" in container.said()
    container.stop()
    with closing(sqlite3.connect(container.folder / "data" / "flask10x.sqlite3")) as database:
        assert database.execute("SELECT count(*) FROM readings").fetchone() == (1,)


def test_no_reading_is_lost_by_restart_kill_and_update(container: Container) -> None:
    container.start()
    container.wait()
    senders = Senders(container.port)
    changes = [container.restart, container.kill, container.update, container.kill]
    with senders.sending():
        for number, change in enumerate(changes, start=1):
            wanted = READINGS * number // (len(changes) + 1)
            wait_until(lambda: len(senders.answered) > wanted, 300, "readings are answered")  # noqa: B023
            change()
        wait_until(lambda: len(senders.answered) >= READINGS, 300, "readings are answered")
    assert senders.refused == []
    container.stop()
    with closing(sqlite3.connect(container.folder / "data" / "flask10x.sqlite3")) as database:
        stored = [value for (value,) in database.execute("SELECT gas_resistance FROM readings")]
    # The figures of docs/en/howto/container.md.
    sys.stdout.write(f"{len(senders.answered)} answered, the slowest {senders.slowest_sec:.1f} s\n")
    assert len(stored) == len({*stored}) == len(senders.answered)


@pytest.fixture
def composed(podman: Podman, image: str, tmp_path: Path) -> Iterator[list[str]]:
    """The command for podman-compose, in whose folder the files of a release are."""
    if shutil.which("podman-compose") is None:
        pytest.skip("podman-compose is not installed")
    shutil.copytree(PROJECT / "deploy", tmp_path / "deploy")
    folder = tmp_path / "deploy" / "container"
    settings = [f"IMAGE={image}", "TZ=Asia/Tokyo"]
    for name, lines in BESIDE.items():
        context = tmp_path / name
        context.mkdir()
        (context / "passwd").write_text("root:x:0:0::/:/bin/sh\nmosquitto:x:1883:1883::/:/bin/sh\n")
        (context / "Containerfile").write_text(f"FROM scratch\nADD base.tar /\n{lines}")
        include = f"--include=base-files,{name}"
        words = ["mmdebstrap", "--quiet", "--variant=extract", include, "trixie"]
        subprocess.run([*words, str(context / "base.tar")], check=True, capture_output=True)
        podman.run("build", "--pull=never", "--tag", f"localhost/beside-{name}", str(context))
        settings.append(f"{name.upper()}_IMAGE=localhost/beside-{name}")
    (folder / ".env").write_text("\n".join([*settings, ""]))
    # The ports of this machine may be another's.
    file = folder / "compose.yaml"
    file.write_text(re.sub(r"^    ports: .*\n", "", file.read_text(), flags=re.MULTILINE))
    limits = f"--ulimit=nofile={os.sysconf('SC_OPEN_MAX')} --ulimit=nproc=4096:4096"
    words = podman.command("podman-compose", f"--podman-run-args=--cgroups=disabled {limits}")
    words.remove("podman")
    words += ["--file", str(file), "--profile", "mqtt", "--profile", "prometheus"]
    try:
        yield words
    finally:
        for more in (["down"], ["down", "--volumes"]):
            subprocess.run(
                [*words, *more], env=podman.environment, capture_output=True, check=False
            )


def test_a_broker_and_prometheus_are_started_where_they_are_asked_for(
    podman: Podman, composed: list[str]
) -> None:
    def counted() -> str:
        words = ("exec", "flask10x", "python3", "-c", COUNT)
        return subprocess.run(
            podman.command(*words),
            env=podman.environment,
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()

    up = [*composed, "up", "--detach"]
    done = subprocess.run(up, env=podman.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    wait_until(lambda: counted().startswith("0"), 240, "it answers")
    topic = "[stations.data]\nmqtt_topic = 'home/living'\n"
    podman.run("exec", "flask10x", "python3", "-c", f"open('stations.toml', 'w').write({topic!r})")
    wait_until(
        lambda: "Connected to" in podman.run("logs", "flask10x_mqtt_1", said=True),
        240,
        "it is connected",
    )
    podman.run("exec", "flask10x", "python3", "-c", PUBLISH, "21")
    wait_until(lambda: counted() == "1 1", 240, "it is stored, and Prometheus knows")
    # The service comes back by itself, and what came meanwhile waits for it.
    pid = podman.run("inspect", "--format", "{{.State.Pid}}", "flask10x")
    os.kill(int(pid), signal.SIGKILL)
    wait_until(lambda: counted().startswith("1"), 240, "it answers again")
    podman.run("exec", "flask10x", "python3", "-c", PUBLISH, "22")
    wait_until(lambda: counted().startswith("2"), 240, "it is stored")
