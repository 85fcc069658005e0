"""What the page about messages shows works: files, URLs, the receiver and the program."""

import re
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from flask10x.alerts.delivery import attempt
from flask10x.alerts.delivery.jobs import jobs_of, troubles_of
from flask10x.alerts.due import PAUSES_SEC
from flask10x.alerts.messages import Text
from flask10x.alerts.words import TROUBLES
from flask10x.config.alerts import file as alert_file
from flask10x.config.alerts.rules import Command
from flask10x.readings.stations import BUILT_IN
from flask10x.translation import translation
from tests.e2e.service import wait_until

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = {language: (DOCS / language / "howto/alerts.md").read_text() for language in ("en", "ja")}
PAGE = PAGES["en"]
SECRET = "an example"
PLUGINS = {
    "ntfys": "NotifyNtfy",
    "line": "NotifyLine",
    "discord": "NotifyDiscord",
    "slack": "NotifySlack",
    "tgram": "NotifyTelegram",
    "mailtos": "NotifyEmail",
}


def blocks(kind: str, page: str = PAGE) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", page, re.M | re.S)


URLS = re.findall(r"`((?:%s)://[^`]+)`" % "|".join(PLUGINS), PAGE)  # noqa: UP031


@pytest.mark.parametrize("kind", ["toml", "sh", "python"])
def test_both_languages_show_the_same(kind: str) -> None:
    assert blocks(kind) == blocks(kind, PAGES["ja"])
    assert blocks(kind)


@pytest.mark.parametrize("text", blocks("toml"), ids=lambda text: text.splitlines()[0])
def test_the_shown_files_are_right(text: str) -> None:
    assert alert_file.parse(text.encode(), Path("alerts.toml"), BUILT_IN).channels


def test_each_service_is_shown_in_both_languages() -> None:
    assert {url.partition(":")[0] for url in URLS} == PLUGINS.keys()
    assert [url for url in URLS if url not in PAGES["ja"]] == []


@pytest.mark.tools
@pytest.mark.skipif(find_spec("apprise") is None, reason="apprise is not installed")
# One of its plugins takes what Python 3.13 lacks where it is still there.
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
@pytest.mark.parametrize("url", URLS, ids=lambda url: url.partition(":")[0])
def test_apprise_knows_the_shown_urls(url: str) -> None:
    from apprise import Apprise  # noqa: PLC0415

    assert type(Apprise.instantiate(url)).__name__ == PLUGINS[url.partition(":")[0]]


@pytest.fixture
def shown_receiver(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of the page's receiver while it runs, and the file with what it has printed."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (secret := tmp_path / "secret").write_text(f"{SECRET}\n")
    (program,) = blocks("python")
    assert program.count("8899") == program.count("/etc/flask10x/alerts-secret") == 1
    program = program.replace("8899", str(port)).replace("/etc/flask10x/alerts-secret", str(secret))
    with (output := tmp_path / "output").open("wb") as file:
        command = [sys.executable, "-c", program]
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: answers(port), 60, "it listens")
            yield f"http://127.0.0.1:{port}/", output
        finally:
            process.kill()
            process.wait()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_the_shown_receiver_checks_the_signature_and_does_nothing_twice(
    shown_receiver: tuple[str, Path],
) -> None:
    import time  # noqa: PLC0415  # The receiver's own clock is meant.

    url, output = shown_receiver
    now = int(time.time())
    job: dict[str, Any] = {"url": url, "body": '{"id": "7", "title": "Bedroom", "body": "x"}'}
    job |= {"key": "7", "limit_sec": 10, "timestamp": now, "secret": SECRET}
    assert attempt.post(job) == ""
    assert attempt.post(job) == ""
    assert attempt.post(job | {"secret": "another"}) == "status:403"
    assert attempt.post(job | {"secret": ""}) == "status:403"
    assert attempt.post(job | {"timestamp": now - 3600}) == "status:403"
    # Whoever knows the address, and nothing of signatures.
    with pytest.raises(HTTPError) as refused:
        urlopen(url, b"{}", timeout=10)
    refused.value.close()
    assert refused.value.code == 403
    assert output.read_text() == "Bedroom\nx\n"


def test_the_shown_program_gets_the_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (text,) = (block for block in blocks("sh") if block.startswith("#!"))
    (program := tmp_path / "alert").write_text(text)
    (logger := tmp_path / "logger").write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/logged\n')
    for path in (program, logger):
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("FLASK10X_BIND", "127.0.0.1:1")
    message = {"id": "1", "occasion": "entry", **asdict(Text("寝室", "x"))}
    (job,) = jobs_of(Command(name="syslog", arguments=(str(program),)), message, 0)
    assert "FLASK10X_BIND" not in job.environment
    assert troubles_of([job]) == [""]
    assert (tmp_path / "logged").read_text() == "-t flask10x-alert -- entry: 寝室\n"


def test_the_pauses_are_the_programs() -> None:
    assert PAUSES_SEC == (10, 30, 60, 120, 300, 900, 1800)
    assert "after 10 s, 30 s, 1, 2, 5 and 15 minutes, then each half hour" in PAGE


def is_said(shown: str, texts: Iterable[str]) -> bool:
    """Whether one of them begins so, or is it with a value."""
    patterns = [re.escape(text).replace(r"\{value\}", ".+") for text in texts]
    return any(text.startswith(shown) for text in texts) or any(
        re.fullmatch(pattern, shown) for pattern in patterns
    )


def test_the_documented_troubles_are_those_of_the_program() -> None:
    (_, english), (_, japanese) = (
        page.split(heading)
        for page, heading in (
            (PAGE, "## If it does not work"),
            (PAGES["ja"], "## うまくいかないとき"),
        )
    )
    rows = re.findall(r"^\| ([^|]+) \|", english, re.M)[1:]
    assert [row for row in rows if not is_said(row, TROUBLES.values())] == []
    rows_ja = re.findall(r"^\| [^|]+（([^|]+)） \|", japanese, re.M)
    texts_ja = [translation("ja")(text) for text in TROUBLES.values()]
    assert [row for row in rows_ja if not is_said(row, texts_ja)] == []
    assert len(rows) == len(rows_ja)
