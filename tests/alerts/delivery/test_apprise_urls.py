"""Messages through the real Apprise, to a receiver on this machine."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from flask10x.alerts.delivery import attempt
from flask10x.alerts.delivery.jobs import Envelope, Try, jobs_of
from flask10x.alerts.messages import Text
from flask10x.config.alerts.rules import Apprise
from tests.e2e.service import wait_until
from tests.support.receiver import Receiver, answering, hang, receiving

WITHIN_SEC = 30.0
TEXT = Text("「寝室」からデータが届いていません", "09:00から…", "http://pi:8888/history")

needs_apprise = pytest.mark.skipif(
    find_spec("apprise") is None, reason="apprise is not installed: make .venv/.tools"
)


def tries(way: Apprise, occasion: str = "entry") -> list[Try]:
    envelope = Envelope(key="1-1", occasion=occasion, text=TEXT)
    made = [Try(job) for job in jobs_of(way, envelope, 0)]
    wait_until(lambda: sum(one.look() for one in made) == len(made), WITHIN_SEC, "all have ended")
    return made


def a_way(tmp_path: Path, *urls: str) -> Apprise:
    path = tmp_path / "urls"
    path.write_text("# the family\n" + "\n".join(urls) + "\n")
    path.chmod(0o600)
    return Apprise(name="phone", urls_file=str(path))


def json_url(receiver: Receiver) -> str:
    return receiver.url.replace("http:", "json:")


@needs_apprise
@pytest.mark.tools
def test_title_body_link_and_type_arrive(tmp_path: Path) -> None:
    with receiving() as receiver:
        way = a_way(tmp_path, json_url(receiver))
        assert [one.trouble for one in tries(way)] == [""]
        assert [one.trouble for one in tries(way, "recovery")] == [""]
        entry, recovery = (request.json() for request in receiver.received)
    assert entry["title"] == TEXT.title
    assert entry["message"] == f"{TEXT.body}\n{TEXT.url}"
    assert (entry["type"], recovery["type"]) == ("failure", "success")


@needs_apprise
@pytest.mark.tools
def test_each_url_is_a_receiver_of_its_own(tmp_path: Path) -> None:
    with receiving() as good, receiving() as bad:
        bad.answers = [answering(401)]
        way = a_way(tmp_path, json_url(bad), json_url(good), "nonsense://x y")
        made = tries(way)
        assert [one.trouble for one in made] == ["status:401", "", "bad_url"]
        assert len({one.receiver for one in made}) == 3
        assert len(good.received) == 1


@needs_apprise
@pytest.mark.tools
def test_one_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask10x.alerts.delivery.jobs.APPRISE_LIMIT_SEC", 3.0)
    with receiving() as receiver:
        receiver.answers = [hang(receiver)]
        (one,) = tries(a_way(tmp_path, json_url(receiver)))
        assert one.trouble in ("no_answer", "not_taken")


@needs_apprise
@pytest.mark.tools
@pytest.mark.parametrize(
    "url",
    [
        "ntfys://ntfy.sh/topic",
        "line://token/U0123456789abcdef",
        "discord://123456789012345678/token",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/",
        "tgram://123456789:abcdefghijklmnopqrstuvwxyzABCDEFGHI/12345678",
        "mailtos://home%40example.org:password@smtp.example.org:465?to=me@example.org",
    ],
)
def test_it_writes_neither_files_nor_secrets(tmp_path: Path, url: str) -> None:
    """With a network that leads nowhere: by a proxy that refuses."""
    code = f"""
import json, os, socket
from flask10x.alerts.delivery import attempt
def refuse(*_): raise OSError("no network")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
print(attempt.notify({{"url": {url!r}, "title": "t", "body": "b", "type": "info"}}))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=WITHIN_SEC,
        env={"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)},
    )
    assert done.stdout.splitlines()[-1] == "not_taken"
    assert not list(tmp_path.iterdir())


def test_without_the_package_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    job: dict[str, Any] = {"url": "json://x", "title": "", "body": "", "type": "info"}
    assert attempt.notify(job) == "no_apprise"
