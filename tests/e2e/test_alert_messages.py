"""Messages from a real service to real receivers, which hang, come back, and lose their sender."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from flask10x.alerts.delivery import attempt
from tests.e2e.conftest import MakeService
from tests.e2e.service import PROJECT, Service, wait_until
from tests.e2e.test_alert_kills import HOOK, rows
from tests.support.receiver import Receiver, answering, hang, receiving

pytestmark = pytest.mark.tools

WITHIN_SEC = 60.0
SECRET = "correct horse"
GOOD = {"pressure": 1013.25, "temperature": 25.1}
STATES = "SELECT way, occasion, state FROM messages ORDER BY id"


@pytest.fixture
def phone() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def mail() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def home(service: MakeService, tmp_path: Path, phone: Receiver, mail: Receiver) -> Service:
    """A service with two webhooks, whose disk is full while the file `firing` is there."""
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET}\n")
    secret.chmod(0o600)
    (tmp_path / "alerts.toml").write_text(
        "".join(
            f'[channels.{name}]\nkind = "webhook"\nurl = "{receiver.url}"\n'
            f'secret_file = "{secret}"\n'
            for name, receiver in (("phone", phone), ("mail", mail))
        )
    )
    made = service(start=False, alerts=tmp_path / "alerts.toml")
    made.environment |= {"FIRING": str(tmp_path / "firing"), "PYTHONPATH": f"{HOOK}:{PROJECT}"}
    made.start()
    return made


def fire(home: Service) -> None:
    Path(home.environment["FIRING"]).touch()


def recover(home: Service) -> None:
    Path(home.environment["FIRING"]).unlink()


def wait_for_requests(receiver: Receiver, number: int) -> None:
    wait_until(lambda: len(receiver.received) >= number, WITHIN_SEC, f"{number} requests came")


def occasions(receiver: Receiver) -> list[str]:
    return [request.json()["occasion"] for request in receiver.received]


def sender(home: Service) -> int:
    """The process that holds the lock of the delivery."""
    inode = (home.data_dir / "alerts-delivery.lock").stat().st_ino
    lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return next(int(words[4]) for words in lines if words[5].endswith(f":{inode}"))


def test_a_webhook_that_never_answers_delays_no_reading_and_no_other_channel(
    home: Service, phone: Receiver, mail: Receiver
) -> None:
    phone.answers = [hang(phone)]
    fire(home)
    wait_for_requests(phone, 1)
    for _ in range(100):
        assert home.post("data", GOOD).status == 200
    home.wait_for_rows(100)
    wait_for_requests(mail, 1)
    recover(home)
    wait_for_requests(mail, 2)
    assert occasions(mail) == ["entry", "recovery"]
    # All of that while the first one still waits for its answer, or for the next try.
    assert ("phone", "entry", "waiting") in rows(home, STATES)
    phone.answers = [answering(204)]
    wait_until(lambda: occasions(phone)[-1] == "recovery", WITHIN_SEC, "it is sent as well")
    keys = [request.headers["Idempotency-Key"] for request in phone.received]
    # As often as it was tried the entry had one key.
    assert len(set(keys)) == 2
    home.stop()


def test_a_sender_that_is_killed_before_the_answer_is_known_sends_it_again(
    home: Service, phone: Receiver
) -> None:
    phone.answers = [hang(phone)]
    fire(home)
    wait_for_requests(phone, 1)
    phone.answers = [answering(200)]
    os.kill(sender(home), signal.SIGKILL)
    wait_for_requests(phone, 2)
    first, second = phone.received
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    signed = second.headers["X-Flask10X-Timestamp"]
    expected = attempt.signature(SECRET, signed, second.body)
    assert second.headers["X-Flask10X-Signature"] == expected
    sent = ("phone", "entry", "sent")
    wait_until(lambda: sent in rows(home, STATES), WITHIN_SEC, "it is noted as sent")
    home.stop()


def test_a_stop_does_not_wait_for_a_receiver_and_the_next_start_sends_it(
    home: Service, phone: Receiver, mail: Receiver
) -> None:
    phone.answers = [hang(phone)]
    fire(home)
    wait_for_requests(phone, 1)
    wait_for_requests(mail, 1)
    delivering = sender(home)
    home.stop()
    assert ("phone", "entry", "waiting") in rows(home, STATES)
    phone.answers = [answering(200)]
    # It ends by itself: with the message in hand, which has a limit.
    wait_until(lambda: not Path(f"/proc/{delivering}").exists(), WITHIN_SEC, "it has ended")
    home.start()
    sent = ("phone", "entry", "sent")
    wait_until(lambda: sent in rows(home, STATES), WITHIN_SEC, "it is sent after all")
    assert (occasions(mail), set(occasions(phone))) == (["entry"], {"entry"})
    home.stop()
    assert SECRET not in "".join(home.log())
