"""The process of one try: a job on standard input, what went wrong on standard output.

It alone has the URL and the secret in hand, so whatever happens in it (a name server that hangs, a
receiver that drips a byte a second or sends without end) is over when it is killed. It says no more
than a code of `TROUBLES`, or nothing when the message was taken. It loads neither SQLAlchemy nor
the settings.

A webhook is posted by the standard library alone. Proxies of the environment are not asked,
redirects are not followed, and of the answer nothing is read but its status and headers. The
signature is made as those of Stripe and Slack are: over the time and the body, so that a recorded
request can't be played again later.
"""

import hashlib
import hmac
import http.client
import json
import logging
import re
import signal
import socket
import ssl
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

# For each address of the name: where IPv6 leads nowhere, time is left for IPv4.
CONNECT_WITHIN_SEC = 3
SUCCESS = range(200, 300)
# The first one that fits. Only the code goes on: the errors' own texts may have the URL in them.
TROUBLES: tuple[tuple[type[Exception], str], ...] = (
    (socket.gaierror, "no_such_host"),
    (ssl.SSLCertVerificationError, "certificate"),
    (ssl.SSLError, "tls"),
    (ConnectionRefusedError, "refused"),
    (TimeoutError, "no_answer"),
    (OSError, "unreachable"),
    # It is an error of values too.
    (http.client.InvalidURL, "bad_url"),
    (http.client.HTTPException, "no_http"),
    (ValueError, "bad_url"),
)
SIGNATURE, TIMESTAMP, KEY = "X-Flask10X-Signature", "X-Flask10X-Timestamp", "Idempotency-Key"


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What the receiver has to find: HMAC-SHA256 over `timestamp.body`, in hexadecimal digits."""
    signed = timestamp.encode() + b"." + body
    return f"sha256={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def post(job: Mapping[str, Any]) -> str:
    """Post `body` to `url` with `headers`; "" when it was taken, else a code of the trouble.

    Of the job it takes `url`, `body`, `key`, `secret` (empty: not signed), `timestamp` (seconds
    since the epoch) and `limit_sec`.
    """
    body = str(job["body"]).encode()
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Flask10X",
        KEY: str(job["key"]),
        TIMESTAMP: str(job["timestamp"]),
    }
    if job["secret"]:
        headers[SIGNATURE] = signature(job["secret"], headers[TIMESTAMP], body)
    try:
        status = _status(urlsplit(job["url"]), headers, body, job["limit_sec"])
    except (OSError, http.client.HTTPException, ValueError) as error:
        return next(code for kind, code in TROUBLES if isinstance(error, kind))
    return "" if status in SUCCESS else f"status:{status}"


def _status(url: SplitResult, headers: dict[str, str], body: bytes, limit_sec: float) -> int:
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("no URL of http or https")
    target = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
    connection = kind(url.hostname, url.port, timeout=CONNECT_WITHIN_SEC)
    try:
        connection.connect()
        connection.sock.settimeout(limit_sec)
        connection.request("POST", target, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


# A plugin logs with which status the service has refused. What else it logs may have secrets in it.
STATUS = re.compile(r"\berror=([1-5][0-9]{2})\b")


class _Statuses(logging.Handler):
    """Keeps the last status that a plugin has logged, and nothing else."""

    status = ""

    def emit(self, record: logging.LogRecord) -> None:
        if found := STATUS.search(record.getMessage()):
            self.status = found[1]


def notify(job: Mapping[str, Any]) -> str:
    """Send `title` and `body` to `url` by Apprise; "" when it was taken, else a code.

    The URL may name mail, a chat or a phone (extra `flask10x[alerts]`).
    `type` is one of Apprise's: info, success, warning, failure. Proxies of the environment are
    asked, as the library requests does.
    """
    try:
        import apprise  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "apprise":
            raise
        return "no_apprise"
    logger, statuses = logging.getLogger("apprise"), _Statuses(logging.WARNING)
    logger.addHandler(statuses)
    logger.propagate = False
    # It keeps nothing on the card between two calls.
    asset = apprise.AppriseAsset(app_id="Flask10X", async_mode=False)
    sender = apprise.Apprise(asset=asset)
    if not sender.add(job["url"]):
        return "bad_url"
    is_sent = sender.notify(
        body=job["body"],
        title=job["title"],
        notify_type=apprise.NotifyType(job["type"]),
        body_format=apprise.NotifyFormat.TEXT,
    )
    if is_sent:
        return ""
    return f"status:{statuses.status}" if statuses.status else "not_taken"


SENDERS = {"webhook": post, "apprise": notify}


def main() -> None:
    """Do the job; the kernel ends this process when its time is up, whatever it is doing."""
    job: Mapping[str, Any] = json.load(sys.stdin)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, job["limit_sec"])
    sys.stdout.write(SENDERS[job["kind"]](job))


if __name__ == "__main__":
    main()
