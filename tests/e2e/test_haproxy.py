"""The HAProxy of deploy/cluster in front of two services: each takes over for the other."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import make_services
from tests.e2e.senders import HOST, JSON_TYPE, Answer, ask, reading_of
from tests.e2e.service import PROJECT, Service, reserved_port, wait_until
from tests.support import databases, postgres

DEPLOYED = PROJECT / "deploy" / "cluster" / "haproxy.cfg"
HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
NOTICED_WITHIN_SEC = 20.0

pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed: not tried here"),
]


def localized(port: int, status_port: int, hosts: list[Service]) -> str:
    """The file as it is shipped, but for addresses, and as the user of the tests."""
    text = DEPLOYED.read_text(encoding="utf-8")
    text, users = re.subn(r"(?m)^    (user|group) haproxy\n", "", text)
    text, binds = re.subn(r"bind :8888", f"bind {HOST}:{port}", text)
    text, status = re.subn(r"bind 127\.0\.0\.1:8404", f"bind {HOST}:{status_port}", text)
    assert (users, binds, status) == (2, 1, 1)
    for number, host in enumerate(hosts, 1):
        text, servers = re.subn(rf"10\.0\.0\.2{number}:8888", f"{HOST}:{host.port}", text)
        assert servers == 2
    return text


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[list[Service]]:
    with make_services(tmp_path / "1") as one, make_services(tmp_path / "2") as two:
        yield [one(ack="committed"), two(ack="committed")]


@pytest.fixture
def port(tmp_path: Path, hosts: list[Service]) -> Iterator[int]:
    """That of the HAProxy."""
    assert HAPROXY is not None
    with reserved_port() as port, reserved_port() as status_port:
        file = tmp_path / "haproxy.cfg"
        file.write_text(localized(port, status_port, hosts), encoding="utf-8")
        process = subprocess.Popen([HAPROXY, "-db", "-f", str(file)], stdin=subprocess.DEVNULL)
        try:
            wait_until(lambda: answers(port), NOTICED_WITHIN_SEC, "HAProxy passes on")
            yield port
        finally:
            process.terminate()
            process.wait(25)


def answers(port: int) -> bool:
    try:
        return ask(port, "GET", "/readyz").status == 200
    except OSError:
        return False


def post(port: int, number: int) -> Answer:
    return ask(port, "POST", "/data2", json.dumps(reading_of(number)).encode(), JSON_TYPE)


def test_haproxy_accepts_the_file() -> None:
    done = subprocess.run(
        [f"{HAPROXY}", "-c", "-f", str(DEPLOYED)], capture_output=True, text=True, check=False
    )
    # As a user without a right to it, it warns that it may not change its own.
    assert (done.returncode, done.stderr) == (0, "")


def test_readings_go_to_both_and_to_the_one_that_lives(hosts: list[Service], port: int) -> None:
    for number in range(20):
        assert post(port, number).status == 200
    assert all(host.count() > 0 for host in hosts)

    hosts[0].stop()
    statuses = {post(port, 100 + number).status for number in range(20)}
    assert statuses == {200}
    assert hosts[1].count() >= 20


def take_away(host: Service) -> None:
    """Its database is gone."""
    if databases.ON_POSTGRES:
        postgres.shared().drop(databases.name_of(host.data_dir))
    else:
        host.database.rename(host.database.with_suffix(".away"))


def test_without_a_host_that_can_store_the_services_say_so_themselves(
    hosts: list[Service], port: int
) -> None:
    for host in hosts:
        take_away(host)

    def is_refused() -> bool:
        answer = post(port, 1)
        return answer.status == 503 and "retry-after" in answer.headers

    wait_until(is_refused, NOTICED_WITHIN_SEC, "the service's own 503 comes through")
    assert post(port, 2).json["status"] == "queued_failed"
