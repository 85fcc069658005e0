"""A try as a process: its result, and that it ends whatever a receiver or a program does."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from flask10x.alerts.delivery.jobs import ATTEMPT, Job, troubles_of
from tests.e2e.service import wait_until
from tests.support.receiver import Behave, Receiver, answering, drip, hang, receiving

WITHIN_SEC = 20.0
HEAD = b"HTTP/1.1 200 OK\r\n"


def trouble_of(job: Job, within_sec: float = WITHIN_SEC) -> str:
    (trouble,) = troubles_of([job], within_sec)
    return trouble


def webhook(url: str, limit_sec: float = 5.0) -> Job:
    job = {"kind": "webhook", "url": url, "body": "{}", "key": "1", "secret": "", "timestamp": 1}
    job_text = json.dumps(job | {"limit_sec": limit_sec}).encode()
    return Job(receiver="", limit_sec=limit_sec, input=job_text)


def program(text: str, limit_sec: float = 5.0) -> Job:
    arguments = (sys.executable, "-S", "-c", text)
    return Job(receiver="", limit_sec=limit_sec, input=b'{"id": "1"}', arguments=arguments)


def test_a_webhook_that_is_taken_and_one_that_is_not() -> None:
    with receiving() as receiver:
        assert trouble_of(webhook(receiver.url)) == ""
        receiver.answers = [answering(500)]
        assert trouble_of(webhook(receiver.url)) == "status:500"
        assert len(receiver.received) == 2


Attack = Callable[[Receiver], Behave]
ATTACKS: dict[str, Attack] = {
    "never answers": hang,
    "a byte of the status line at a time": lambda r: drip(r, b"", b"H", 0.05),
    "a byte of a header at a time": lambda r: drip(r, HEAD + b"X: ", b"y", 0.05),
    "interim answers without end": lambda r: drip(r, b"", b"HTTP/1.1 100 Go on\r\n\r\n", 0.01),
}


@pytest.mark.tools
@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_no_receiver_keeps_a_try_beyond_its_limit(attack: Attack) -> None:
    with receiving() as receiver:
        receiver.answers = [attack(receiver)]
        assert trouble_of(webhook(receiver.url, limit_sec=0.5)) == "no_answer"


def test_what_hangs_in_the_process_itself_is_ended_from_outside() -> None:
    with receiving() as receiver:
        receiver.answers = [hang(receiver)]
        assert trouble_of(webhook(receiver.url, limit_sec=60), within_sec=0.5) == "no_answer"


def test_the_process_of_a_try_loads_neither_the_settings_nor_sqlalchemy() -> None:
    code = (
        "import sys; import flask10x.alerts.delivery.attempt; "
        "sys.exit(bool({'sqlalchemy', 'flask10x.config.settings'} & sys.modules.keys()))"
    )
    assert ATTEMPT[-1] == "flask10x.alerts.delivery.attempt"
    assert trouble_of(program(code)) == ""


# Commands


def test_a_program_gets_the_message_on_its_standard_input_and_in_variables(tmp_path: Path) -> None:
    text = f"""
import os, sys
with open({str(tmp_path / "seen")!r}, "w") as file:
    file.write(os.environ["ALERT_TITLE"] + sys.stdin.read())
"""
    job = replace(program(text), environment={"ALERT_TITLE": "T"})
    assert trouble_of(job) == ""
    assert (tmp_path / "seen").read_text() == 'T{"id": "1"}'


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("raise SystemExit(3)", "exit:3"),
        ("import os; os.kill(os.getpid(), 15)", "killed:15"),
        ("import sys; sys.stdout.write('x' * 10_000_000)", ""),
    ],
)
def test_how_a_program_has_ended(text: str, trouble: str) -> None:
    assert trouble_of(program(text)) == trouble


@pytest.mark.parametrize("path", ["/nowhere/at/all", "/etc/passwd", "/bin/\0"])
def test_a_program_that_cannot_be_started(path: str) -> None:
    job = Job(receiver="", limit_sec=1, input=b"", arguments=(path,))
    assert trouble_of(job) == "no_program"


@pytest.mark.tools
def test_a_program_that_does_not_end_is_killed_with_all_that_it_has_started(tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    text = f"""
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child == 0:
    time.sleep(300)
with open({str(noted) + "~"!r}, "w") as file:
    file.write(str(child))
os.rename({str(noted) + "~"!r}, {str(noted)!r})
time.sleep(300)
"""
    assert trouble_of(program(text, limit_sec=6)) == "no_answer"
    child = int(noted.read_text())
    wait_until(lambda: not is_alive(child), WITHIN_SEC, "it is gone too")


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def test_what_a_program_leaves_behind_is_ended(tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    text = f"""
import os, time
child = os.fork()
if child == 0:
    time.sleep(300)
with open({str(noted)!r}, "w") as file:
    file.write(str(child))
"""
    assert trouble_of(program(text)) == ""
    child = int(noted.read_text())
    wait_until(lambda: not is_alive(child), WITHIN_SEC, "it is gone too")
    assert os.getpid() != child
