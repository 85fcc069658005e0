"""The jobs that send one message to one channel, one for each of its receivers."""

import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import IO, Any

from flask10x.alerts.messages import Speaker
from flask10x.config import secrets
from flask10x.config.alerts.rules import (
    Channel,
    Command,
    Ntfy,
    Webhook,
    WithUrl,
    webhook_url,
)
from flask10x.config.readers import WrongEntry
from flask10x.config.settings import Settings
from flask10x.errors import SettingsError
from flask10x.readings.times import SECOND_MS
from flask10x.system import clock

# The time limits of one try; a phone that waits longer has no network.
WEBHOOK_LIMIT_SEC = 10.0
COMMAND_LIMIT_SEC = 30.0
# Some services need several requests for a message, and mail servers delay unknown senders.
APPRISE_LIMIT_SEC = 45.0
# Apprise takes some seconds to be imported on a busy Pi.
CHECK_LIMIT_SEC = 20.0
# Enough for a household; each one is a process of 50 MB for some seconds.
MAX_URLS = 10
# How often a try is polled for its end.
POLL_SEC = 0.02
# Enough to distinguish ten URLs without showing them.
RECEIVER_DIGITS = 12
# The beginnings of names in the environment that are meant for the service. A program may call
# `flask10x`, which rejects settings that it does not know.
NOT_INHERITED = ("FLASK10X_", "NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_", "CREDENTIALS_DIRECTORY")

# How urgent ntfy shows a message: 3 is usual, and 4 makes a phone ring longer.
PRIORITIES = {"entry": 4}
# How Apprise shows a message.
TYPES = {"entry": "failure", "reminder": "warning", "recovery": "success", "limit": "warning"}


class NotSendable(Exception):
    """The channel cannot be used as it is set up; `trouble` is the code of the reason."""

    def __init__(self, trouble: str) -> None:
        super().__init__(trouble)
        self.trouble = trouble


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One receiver of a message, and the input of the process that sends it."""

    receiver: str
    """A short hash of its URL; empty where the channel has only one."""
    limit_sec: float
    input: bytes = field(repr=False)
    arguments: tuple[str, ...] = ()
    """The program to run; empty for `attempt`."""
    environment: Mapping[str, str] = field(default_factory=dict)


def jobs_of(
    channel: Channel, message: Mapping[str, Any], now_ms: int, hosts: Sequence[str] = ()
) -> list[Job]:
    """Return a job for each receiver of the channel; raises NotSendable.

    `message` has the JSON values for webhooks and commands; its `id` is the same at each try.
    Messages may go to `hosts` only; empty: to any.
    """
    content = json.dumps(message, ensure_ascii=False)
    if isinstance(channel, Command):
        # Without the prefix of the settings: see NOT_INHERITED.
        variables = {
            f"ALERT_{name.upper()}": str(value).replace("\0", "")
            for name, value in message.items()
            if isinstance(value, str | int | float) and not isinstance(value, bool)
        }
        inherited = {n: v for n, v in os.environ.items() if not n.startswith(NOT_INHERITED)}
        return [
            Job(
                receiver="",
                limit_sec=COMMAND_LIMIT_SEC,
                input=content.encode(),
                arguments=channel.arguments,
                environment=inherited | variables,
            )
        ]
    reach = {"hosts": [*hosts], "loopback": channel.loopback}
    if isinstance(channel, Webhook):
        secret = _secret(channel.name, channel.secret_file) if channel.secret_file else ""
        job = reach | {"url": url_of(channel), "secret": secret.strip(), "key": message["id"]}
        job |= {"timestamp": now_ms // SECOND_MS, "body": content}
        return [_for_attempt("webhook", WEBHOOK_LIMIT_SEC, job)]
    if isinstance(channel, Ntfy):
        token = _secret(channel.name, channel.token_file) if channel.token_file else ""
        # As JSON to the server itself, for a header takes no title but an English one.
        server, _slash, topic = url_of(channel).rstrip("/").rpartition("/")
        published = {"topic": topic, "title": message["title"], "message": message["body"]}
        published["priority"] = PRIORITIES.get(message["occasion"], 3)
        if message["url"]:
            published["click"] = message["url"]
        body = json.dumps(published, ensure_ascii=False)
        job = reach | {"url": f"{server}/", "token": token.strip(), "body": body}
        return [_for_attempt("ntfy", WEBHOOK_LIMIT_SEC, job)]
    lines = (line.strip() for line in _secret(channel.name, channel.urls_file).splitlines())
    urls = list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not urls:
        raise NotSendable("no_urls")
    if len(urls) > MAX_URLS:
        raise NotSendable(f"many_urls:{MAX_URLS}")
    body = f"{message['body']}\n{message['url']}".rstrip()
    job = reach | {
        "title": message["title"],
        "body": body,
        "type": TYPES.get(message["occasion"], "info"),
    }
    return [
        _for_attempt(
            "apprise",
            APPRISE_LIMIT_SEC,
            job | {"url": url},
            hashlib.sha256(url.encode()).hexdigest()[:RECEIVER_DIGITS],
        )
        for url in urls
    ]


def url_of(channel: WithUrl) -> str:
    """Return the address of a webhook or topic; raises NotSendable when its file has none."""
    if not channel.url_file:
        return channel.url
    url = _secret(channel.name, channel.url_file).strip()
    try:
        return webhook_url(url)
    except WrongEntry:
        raise NotSendable("bad_url") from None


def _for_attempt(kind: str, limit_sec: float, job: Mapping[str, Any], receiver: str = "") -> Job:
    given = {"kind": kind, "limit_sec": limit_sec, **job}
    return Job(receiver=receiver, limit_sec=limit_sec, input=json.dumps(given).encode())


def _secret(name: str, named: str) -> str:
    try:
        return secrets.read_secret(f"[channels.{name}]", named).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotSendable("secret_text") from None
    except SettingsError:
        raise NotSendable("secret_file") from None


# -P: a file in the data folder is not imported as a module.
ATTEMPT = (sys.executable, "-P", "-m", "flask10x.alerts.delivery.attempt")
# In addition to the limit of the process itself, for the start of Python on a busy Pi.
GRACE_SEC = 15.0
# A code is shorter.
MAX_ANSWER_BYTES = 200


def troubles_of(jobs: Sequence[Job], within_sec: float = math.inf) -> list[str]:
    """Try these jobs at once, and return the trouble of each: "" where the message was taken.

    What takes longer than `within_sec`, or than its own time limit, is ended.
    """
    with ThreadPoolExecutor(max(1, len(jobs))) as threads:
        return [*threads.map(partial(_trouble, within_sec=within_sec), jobs)]


def _trouble(job: Job, within_sec: float) -> str:
    """Run the process of a job, in a session and group of its own.

    The output of a program is not read, for it may contain secrets; that of `attempt` is a code.
    """
    is_command = bool(job.arguments)
    limit_sec = min(within_sec, job.limit_sec if is_command else job.limit_sec + GRACE_SEC)
    ends_at_ms = clock.monotonic_ms() + int(limit_sec * SECOND_MS)
    with _file("message") as message, _file("answer") as answer:
        message.write(job.input)
        message.seek(0)
        try:
            process = subprocess.Popen(  # noqa: S603
                job.arguments or ATTEMPT,
                env=dict(job.environment) if is_command else None,
                stdin=message,
                stdout=subprocess.DEVNULL if is_command else answer,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError):
            # ValueError: a name or a variable that the system does not accept.
            return "no_program"
        # It is not reaped yet, so no other process has its id when its group is killed.
        look = os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT
        while not (has_ended := os.waitid(*look)) and clock.monotonic_ms() < ends_at_ms:
            time.sleep(POLL_SEC)
        # This also ends the processes that it has started.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
        if not has_ended:
            return "no_answer"
        if is_command:
            return "" if status == 0 else f"killed:{-status}" if status < 0 else f"exit:{status}"
        if status:
            return "no_answer" if status == -signal.SIGALRM else "failed"
        answer.seek(0)
        return answer.read(MAX_ANSWER_BYTES).decode("ascii", "replace")


def send_test(settings: Settings, channel: Channel, within_sec: float = math.inf) -> list[str]:
    """Send a test message to each receiver of the channel at once.

    Return a code of `words.TROUBLES` for each, "" where it was taken; one alone where the channel
    can't be used. What takes longer than `within_sec` is ended.
    """
    now_ms = clock.now_ms()
    text = Speaker(settings, channel.language or settings.alerts.language).test(channel.name)
    message = {"id": f"test-{now_ms}", "occasion": "test", **asdict(text), "way": channel.name}
    try:
        jobs = jobs_of(channel, message, now_ms, settings.notify_hosts)
    except NotSendable as error:
        return [error.trouble]
    return troubles_of(jobs, within_sec)


def trouble_of_urls(text: str) -> str:
    """Return the trouble of Apprise's URLs for a channel that a browser sets up; "" for none.

    The process that would send judges them, by Apprise's own parser.
    """
    job = _for_attempt("check", CHECK_LIMIT_SEC, {"url": text, "loopback": False})
    return troubles_of([job])[0]


def _file(name: str) -> IO[bytes]:
    """A file in memory, for secrets must not be on the card, and a pipe would block."""
    return os.fdopen(os.memfd_create(name), "w+b")
