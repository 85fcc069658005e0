"""A webhook: signed JSON is posted to a URL, by the standard library alone.

Proxies of the environment are not asked, redirects are not followed, and of the answer nothing is
read but its status and headers. The signature is made as those of Stripe and Slack are: over the
time and the body, so that a recorded request can't be played again later.
"""

import hashlib
import hmac
import http.client
import socket
import ssl
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
