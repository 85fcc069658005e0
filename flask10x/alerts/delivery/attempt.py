"""The process of one try: it reads a job from standard input and writes a code to standard output.

Only this process has the URL and the secret, so killing it ends whatever happens in it, such as a
name server that hangs or a receiver that sends a byte a second or without end. It writes no more
than a code of `TROUBLES`, or nothing when the message was taken. It loads neither SQLAlchemy nor
the settings.

A webhook is posted with the standard library alone. Proxies of the environment are not used,
redirects are not followed, and only the status and the headers of the answer are read. The
signature covers the time and the body, as those of Stripe and Slack do, so that a recorded request
can't be sent again later.
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

# For each address of a name: where IPv6 does not work, there is time left for IPv4.
CONNECT_WITHIN_SEC = 3
SUCCESS = range(200, 300)
# The first one that fits. Only the code is written: the text of an error may contain the URL.
TROUBLES: tuple[tuple[type[Exception], str], ...] = (
    (socket.gaierror, "no_such_host"),
    (ssl.SSLCertVerificationError, "certificate"),
    (ssl.SSLError, "tls"),
    (ConnectionRefusedError, "refused"),
    (TimeoutError, "no_answer"),
    (OSError, "unreachable"),
    # It is a ValueError, too.
    (http.client.InvalidURL, "bad_url"),
    (http.client.HTTPException, "no_http"),
    (ValueError, "bad_url"),
)
SIGNATURE, TIMESTAMP, KEY = "X-Flask10X-Signature", "X-Flask10X-Timestamp", "Idempotency-Key"


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature: HMAC-SHA256 over `timestamp.body`, in hexadecimal digits."""
    signed = timestamp.encode() + b"." + body
    return f"sha256={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def post(job: Mapping[str, Any]) -> str:
    """Post a job and return a code of TROUBLES, or "" when it was taken.

    Of the job it uses `url`, `body`, `key`, `secret` (empty: not signed), `timestamp` (seconds
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


# A plugin logs the status with which a service has refused. Its other text may contain secrets.
STATUS = re.compile(r"\berror=([1-5][0-9]{2})\b")


class _Statuses(logging.Handler):
    """Keeps only the last status that a plugin has logged."""

    status = ""

    def emit(self, record: logging.LogRecord) -> None:
        if match := STATUS.search(record.getMessage()):
            self.status = match[1]


def notify(job: Mapping[str, Any]) -> str:
    """Send `title` and `body` to `url` with Apprise; return a code, or "" when it was taken.

    The URL may name mail, a chat or a phone (extra `flask10x[alerts]`). `type` is one of Apprise's:
    info, success, warning, failure. Proxies of the environment are used, as the library requests
    does.
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
    # Apprise stores nothing on the card between two calls.
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
    """Do the job; the kernel ends this process when its time limit has passed."""
    job: Mapping[str, Any] = json.load(sys.stdin)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, job["limit_sec"])
    sys.stdout.write(SENDERS[job["kind"]](job))


if __name__ == "__main__":
    main()
