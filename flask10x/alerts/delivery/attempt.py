"""The process of one try: it reads a job from standard input and writes a code to standard output.

Only this process has the URL and the secret, so killing it ends whatever happens in it, such as a
name server that hangs or a receiver that sends a byte a second or without end. It writes no more
than a code of `TROUBLES`, or nothing when the message was taken. It loads neither SQLAlchemy nor
the settings.

A webhook and a message for ntfy are posted with the standard library alone. Proxies of the
environment are not used, redirects are not followed, and only the status and the headers of the
answer are read. The signature of a webhook covers the time and the body, as those of Stripe and
Slack do, so that a recorded request can't be sent again later.

Where a message may go is checked where a connection is made, so neither a name that leads elsewhere
meanwhile nor a library gets round it. So is which file is opened, for a channel that a browser has
set up.
"""

import hashlib
import hmac
import http.client
import json
import logging
import os
import re
import signal
import site
import socket
import ssl
import sys
import sysconfig
from collections.abc import Collection, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
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
    headers = {KEY: str(job["key"]), TIMESTAMP: str(job["timestamp"])}
    if job["secret"]:
        body = str(job["body"]).encode()
        headers[SIGNATURE] = signature(job["secret"], headers[TIMESTAMP], body)
    return _posted(job, headers)


def publish(job: Mapping[str, Any]) -> str:
    """Publish a message to a server of ntfy; return a code, or "" when it was taken.

    Of the job it uses `url` (of the server), `body` (JSON with the topic), `token` (empty: none)
    and `limit_sec`.
    """
    return _posted(job, {"Authorization": f"Bearer {job['token']}"} if job["token"] else {})


def _posted(job: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """Post the JSON `body` of the job to its `url`, and return what became of it."""
    usual = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "Flask10X"}
    body = str(job["body"]).encode()
    try:
        status = _status(urlsplit(job["url"]), {**usual, **headers}, body, job["limit_sec"])
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
    if not job.get("loopback", True) and (trouble := check(job)):
        return trouble
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


def check(job: Mapping[str, Any]) -> str:
    """Return the trouble of a `url` of Apprise that a browser has set up; "" if it has none."""
    try:
        from flask10x.alerts.delivery import apprise_urls  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "apprise":
            raise
        return "no_apprise"
    # It logs what it can't read, which may be a secret.
    logging.getLogger("apprise").propagate = False
    return apprise_urls.trouble_of(job["url"])


# What a library reads beside itself.
SYSTEM_FILES = (
    "/dev/null",
    "/dev/urandom",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/resolv.conf",
    "/usr/share/zoneinfo",
)
# They would run a program, which opens what it likes.
PROGRAMS = {"os.exec", "os.posix_spawn", "os.system", "subprocess.Popen"}
# The port means nothing: to "connect" a datagram socket sends nothing.
NO_PORT = 9


def _readable() -> tuple[str, ...]:
    """The places whose files any channel may read: the libraries, and what they need."""
    libraries = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib"))
    package = Path(__file__).parents[2]
    places = (*libraries, *site.getsitepackages(), str(package), *SYSTEM_FILES)
    return tuple(os.path.realpath(place) for place in places)


class Guard:
    """Refuses connections to hosts that a message may not go to, and files that are not its own."""

    def __init__(self, hosts: Collection[str], *, loopback: bool) -> None:
        """`hosts` are all that are allowed, a leading dot for all names below; empty: any host.

        Then `loopback` says whether this machine itself is one, by whatever name or address.
        Without `loopback` no file but those of the libraries is opened either, and no program run.
        """
        self._hosts, self._loopback = hosts, loopback
        self._readable = () if loopback else _readable()
        self._is_listed = False
        # Those that this process listens with: a library may talk to itself by one.
        self._own: list[socket.socket] = []
        # Those that ask for a route.
        self._probes: set[socket.socket] = set()
        self.has_refused = False

    def look(self, event: str, values: tuple[Any, ...]) -> None:
        """Look at an audit event of Python; raises OSError, which ends what would have come."""
        if event == "socket.getaddrinfo":
            self._check_name(values[0])
        elif event == "socket.bind":
            self._own.append(values[0])
        elif event == "socket.connect":
            if values[0] not in self._probes and not self._is_own(values[1]):
                self._check_address(values[1])
        elif event in ("socket.sendto", "socket.sendmsg") and values[1] is not None:
            # Without a connection; a name is looked up by the call itself, of which no event tells.
            if isinstance(values[1], tuple):
                self._check_name(values[1][0])
            self._check_address(values[1])
        elif not self._loopback and (event in PROGRAMS or self._is_other_file(event, values)):
            raise PermissionError("a message may not be made of other files")

    def _is_other_file(self, event: str, values: tuple[Any, ...]) -> bool:
        # A number is a file that is open already.
        if event != "open" or isinstance(values[0], int):
            return False
        path, flags = os.path.realpath(os.fsdecode(values[0])), values[2]
        if flags & (os.O_WRONLY | os.O_RDWR):
            return path != os.devnull
        return not any(path == place or path.startswith(f"{place}/") for place in self._readable)

    def _check_name(self, host: object) -> None:
        self._is_listed = self._lists(host)
        self._check(self._is_listed or not self._hosts)

    def _check_address(self, address: object) -> None:
        self._check(self._is_listed if self._hosts else self._may_reach(address))

    def _check(self, is_right: bool) -> None:
        if not is_right:
            self.has_refused = True
            raise OSError("a message may not go there")

    def _is_own(self, address: object) -> bool:
        return any(one.fileno() >= 0 and one.getsockname() == address for one in self._own)

    def _lists(self, host: object) -> bool:
        name = (host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)).lower()
        name = name.removesuffix(".")
        return any(name == h or (h.startswith(".") and name.endswith(h)) for h in self._hosts)

    def _may_reach(self, address: Any) -> bool:
        if self._loopback or not isinstance(address, tuple):
            return self._loopback
        try:
            ip = ip_address(str(address[0]).partition("%")[0])
        except ValueError:
            return False
        ip = getattr(ip, "ipv4_mapped", None) or ip
        is_near = ip.is_loopback or ip.is_unspecified or ip.is_link_local or ip.is_multicast
        return not (is_near or self._is_of_this_machine(ip))

    def _is_of_this_machine(self, ip: IPv4Address | IPv6Address) -> bool:
        """Whether the kernel would send from this very address to it."""
        family = socket.AF_INET6 if isinstance(ip, IPv6Address) else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            self._probes.add(probe)
            try:
                probe.connect((str(ip), NO_PORT))
                return bool(probe.getsockname()[0] == str(ip))
            except OSError:
                return False
            finally:
                self._probes.discard(probe)


SENDERS = {"webhook": post, "ntfy": publish, "apprise": notify, "check": check}


def main() -> None:
    """Do the job; the kernel ends this process when its time limit has passed."""
    job: Mapping[str, Any] = json.load(sys.stdin)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, job["limit_sec"])
    guard = Guard(job.get("hosts", ()), loopback=job.get("loopback", True))
    sys.addaudithook(guard.look)
    trouble = SENDERS[job["kind"]](job)
    sys.stdout.write("host" if trouble and guard.has_refused else trouble)


if __name__ == "__main__":
    main()
