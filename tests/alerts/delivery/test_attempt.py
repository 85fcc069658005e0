"""What is posted to a webhook and by the real Apprise, how it is signed, what counts as taken."""

import hashlib
import hmac
import json
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from flask10x.alerts.delivery import attempt
from flask10x.alerts.delivery.jobs import Job, jobs_of, troubles_of
from flask10x.alerts.messages import Text
from flask10x.config.alerts.rules import Apprise, Ntfy
from tests.support.receiver import OK, Receiver, answering, hang, receiving


@pytest.fixture(scope="module")
def shared() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def receiver(shared: Receiver) -> Receiver:
    shared.received.clear()
    shared.answers = [OK]
    return shared


def job(url: str, **changes: Any) -> dict[str, Any]:
    return {
        "url": url,
        "body": '{"title": "寝室"}',
        "key": "1-2",
        "secret": "s3cret",
        "timestamp": 1_756_000_000,
        "limit_sec": 2.0,
    } | changes


def test_the_receiver_can_check_who_has_sent_it_and_when(receiver: Receiver) -> None:
    assert attempt.post(job(f"{receiver.url}?a=1&b=2")) == ""
    (request,) = receiver.received
    assert request.target == "/hook?a=1&b=2"
    assert request.json() == {"title": "寝室"}
    assert request.headers["Content-Type"] == "application/json; charset=utf-8"
    assert request.headers["Idempotency-Key"] == "1-2"
    signed = request.headers["X-Flask10X-Timestamp"].encode() + b"." + request.body
    digest = hmac.new(b"s3cret", signed, hashlib.sha256).hexdigest()
    assert request.headers["X-Flask10X-Signature"] == f"sha256={digest}"


def test_a_message_for_ntfy_is_published_as_json_in_any_language(receiver: Receiver) -> None:
    url = receiver.url.replace("/hook", "/behind/house-1")
    channel = Ntfy(name="phone", url=url)
    message = {"id": "1", "occasion": "entry", "title": "寝室: 1500 ppm ↑"}
    message |= {
        "body": "換気を\nお願いします",
        "url": "http://pi.local:8888/alerts",
        "way": "phone",
    }
    assert troubles_of(jobs_of(channel, message, 0)) == [""]
    (request,) = receiver.received
    assert request.target == "/behind/"
    assert request.headers["Content-Type"] == "application/json; charset=utf-8"
    assert "Authorization" not in request.headers
    assert request.json() == {
        "topic": "house-1",
        "title": "寝室: 1500 ppm ↑",
        "message": "換気を\nお願いします",
        "priority": 4,
        "click": "http://pi.local:8888/alerts",
    }
    receiver.answers = [answering(403)]
    message |= {"occasion": "recovery", "url": ""}
    assert troubles_of(jobs_of(channel, message, 0)) == ["status:403"]
    sent = receiver.received[1].json()
    assert sent["priority"] == 3 and "click" not in sent


def test_a_token_of_ntfy_is_read_from_its_file(receiver: Receiver, tmp_path: Path) -> None:
    address, token = tmp_path / "address", tmp_path / "token"
    for path, text in ((address, f"{receiver.url}\n"), (token, "tk_1\n")):
        path.touch(0o600)
        path.write_text(text)
    channel = Ntfy(name="phone", url_file=str(address), token_file=str(token))
    message = {"id": "1", "occasion": "test", "title": "T", "body": "B", "url": ""}
    assert troubles_of(jobs_of(channel, message, 0)) == [""]
    assert receiver.received[0].headers["Authorization"] == "Bearer tk_1"


def test_without_a_secret_there_is_no_signature(receiver: Receiver) -> None:
    assert attempt.post(job(receiver.url, secret="")) == ""
    assert "X-Flask10X-Signature" not in receiver.received[0].headers


def test_proxies_of_the_environment_are_not_asked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert attempt.post(job(receiver.url)) == ""


@pytest.mark.parametrize("status", [201, 204, 299])
def test_any_success_is_one(receiver: Receiver, status: int) -> None:
    receiver.answers = [answering(status)]
    assert attempt.post(job(receiver.url)) == ""


@pytest.mark.parametrize("status", [301, 307, 400, 404, 429, 500, 503])
def test_anything_else_is_none_and_no_redirect_is_followed(receiver: Receiver, status: int) -> None:
    other = b"HTTP/1.1 %d X\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n"
    receiver.answers = [other % (status, receiver.url.encode())]
    assert attempt.post(job(receiver.url)) == f"status:{status}"
    assert len(receiver.received) == 1


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (b"", "unreachable"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no_http"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000, "no_http"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, "no_http"),
        # The body is not read, whatever its length.
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n" + b"x" * 100_000, ""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno chunk", ""),
    ],
)
def test_strange_answers(receiver: Receiver, answer: bytes, trouble: str) -> None:
    receiver.answers = [answer]
    assert attempt.post(job(receiver.url)) == trouble


def test_a_port_without_a_listener() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        assert attempt.post(job(f"http://127.0.0.1:{sock.getsockname()[1]}/")) == "refused"


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http://", "http://127.0.0.1:99999/", ""])
def test_what_is_no_url_of_http(url: str) -> None:
    assert attempt.post(job(url)) == "bad_url"


def test_a_path_that_would_split_the_request(receiver: Receiver) -> None:
    assert attempt.post(job(f"{receiver.url} HTTP/1.1")) == "bad_url"


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (socket.gaierror(-2, "Name or service not known"), "no_such_host"),
        (ssl.SSLCertVerificationError("self-signed"), "certificate"),
        (ssl.SSLError("wrong version"), "tls"),
        (TimeoutError(), "no_answer"),
        (ConnectionResetError(), "unreachable"),
        (OSError(101, "Network is unreachable"), "unreachable"),
    ],
)
def test_what_the_network_says(
    monkeypatch: pytest.MonkeyPatch, error: Exception, trouble: str
) -> None:
    def fail(*_arguments: object) -> int:
        raise error

    monkeypatch.setattr(attempt, "_status", fail)
    assert attempt.post(job("http://127.0.0.1/")) == trouble


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for `localhost` without a signature of others, with its key."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("openssl is not installed: no certificate can be made")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    name = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    generated = subprocess.run(
        [openssl, "req", "-x509", *curve, *name, "-keyout", "-", "-out", "-"],
        capture_output=True,
        check=True,
    )
    path.write_bytes(generated.stdout)
    return path


def post_with_tls(certificate: Path, host: str) -> str:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with receiving() as receiver:
        receiver.tls = context
        return attempt.post(job(f"https://{host}:{receiver.port}/"))


def test_the_certificate_is_checked(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert post_with_tls(certificate, "localhost") == "certificate"
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert post_with_tls(certificate, "localhost") == ""
    assert post_with_tls(certificate, "127.0.0.1") == "certificate"


def test_ipv6() -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        with receiving("::1") as receiver:
            assert attempt.post(job(receiver.url)) == ""
            assert receiver.received[0].headers["Host"] == f"[::1]:{receiver.port}"
    except OSError:
        pytest.skip("this machine has no address ::1")


WITHIN_SEC = 30.0
TEXT = Text("「寝室」からデータが届いていません", "09:00から…", "http://pi:8888/history")

needs_apprise = pytest.mark.skipif(
    find_spec("apprise") is None, reason="apprise is not installed: make .venv/.tools"
)


def tried(channel: Apprise, occasion: str = "entry") -> dict[str, str]:
    """The trouble of each receiver, by its hash."""
    message = {"id": "1-1", "occasion": occasion, **asdict(TEXT)}
    jobs = jobs_of(channel, message, 0)
    troubles = troubles_of(jobs, WITHIN_SEC)
    return {job.receiver: trouble for job, trouble in zip(jobs, troubles, strict=True)}


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
        channel = a_way(tmp_path, json_url(receiver))
        assert [*tried(channel).values()] == [""]
        assert [*tried(channel, "recovery").values()] == [""]
        entry, recovery = (request.json() for request in receiver.received)
    assert entry["title"] == TEXT.title
    assert entry["message"] == f"{TEXT.body}\n{TEXT.url}"
    assert (entry["type"], recovery["type"]) == ("failure", "success")


@needs_apprise
@pytest.mark.tools
def test_each_url_is_a_receiver_of_its_own(tmp_path: Path) -> None:
    with receiving() as good, receiving() as bad:
        bad.answers = [answering(401)]
        channel = a_way(tmp_path, json_url(bad), json_url(good), "nonsense://x y")
        assert [*tried(channel).values()] == ["status:401", "", "bad_url"]
        assert len(good.received) == 1


@needs_apprise
@pytest.mark.tools
def test_one_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask10x.alerts.delivery.jobs.APPRISE_LIMIT_SEC", 3.0)
    with receiving() as receiver:
        receiver.answers = [hang(receiver)]
        (trouble,) = tried(a_way(tmp_path, json_url(receiver))).values()
        assert trouble in ("no_answer", "not_taken")


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
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=WITHIN_SEC,
        env={"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)},
    )
    assert result.stdout.splitlines()[-1] == "not_taken"
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    job: dict[str, Any] = {"url": "json://x", "title": "", "body": "", "type": "info"}
    assert attempt.notify(job) == "no_apprise"


# Where a message may go


@pytest.mark.parametrize(
    ("host", "hosts", "loopback", "is_right"),
    [
        ("192.168.1.5", (), False, True),
        ("2001:db8::1", (), False, True),
        ("127.0.0.1", (), True, True),
        *((ip, (), False, False) for ip in ("127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::")),
        *((ip, (), False, False) for ip in ("169.254.169.254", "fe80::1%eth0", "224.0.0.1")),
        ("::ffff:127.0.0.1", (), False, False),
        ("a name", (), False, False),
        ("192.168.1.5", ("example.org",), True, False),
        ("127.0.0.1", ("127.0.0.1",), False, True),
    ],
)
def test_a_connection_is_checked_where_it_is_made(
    host: str, hosts: tuple[str, ...], loopback: bool, is_right: bool
) -> None:
    guard = attempt.Guard(hosts, loopback=loopback)

    def connect() -> None:
        guard.look("socket.getaddrinfo", (host, 80, 0, 0, 0))
        guard.look("socket.connect", (None, (host, 80)))

    if is_right:
        connect()
    else:
        with pytest.raises(OSError, match="may not go there"):
            connect()
    assert guard.has_refused is not is_right


def own_addresses() -> list[str]:
    """Those of this machine in its networks, as it lists them."""
    listed = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True)
    return listed.stdout.split()


@pytest.mark.tools
def test_this_machine_is_left_out_by_each_of_its_addresses() -> None:
    """By its own program and by Apprise's; one on the list of hosts is reached."""
    if not (addresses := own_addresses()):
        pytest.skip("this machine has no address but loopback")
    for address in addresses:
        with receiving(address) as receiver:
            for kind, url in (("webhook", receiver.url), ("apprise", json_url(receiver))):
                if kind == "apprise" and find_spec("apprise") is None:
                    continue
                closed = {"kind": kind, "loopback": False, "title": "t", "type": "info"}
                assert result_of(job(url, **closed)) == "host", url
                assert receiver.received == []
                assert result_of(job(url, **closed, hosts=[address])) == "", url
                assert result_of(job(url, **closed | {"loopback": True})) == "", url
                assert len(receiver.received) == 2
                receiver.received.clear()


def result_of(job: dict[str, Any]) -> str:
    """What the process of a try says."""
    job |= {"limit_sec": WITHIN_SEC}
    one = Job(receiver="", limit_sec=WITHIN_SEC, input=json.dumps(job).encode())
    return troubles_of([one])[0]


def test_a_socket_of_this_machine_is_no_host() -> None:
    guard = attempt.Guard((), loopback=False)
    with pytest.raises(OSError, match="may not go there"):
        guard.look("socket.connect", (None, "/run/docker.sock"))
    attempt.Guard((), loopback=True).look("socket.connect", (None, "/run/docker.sock"))


@pytest.mark.parametrize("event", ["socket.sendto", "socket.sendmsg"])
def test_a_datagram_goes_where_a_connection_may(event: str) -> None:
    """The call that sends it looks its host up, so no other event names it."""
    cases: tuple[tuple[str, tuple[str, ...], bool], ...] = (
        ("127.0.0.1", (), False),
        ("localhost", (), False),
        ("192.168.1.5", (), True),
        ("192.168.1.5", ("example.org",), False),
        ("example.org", ("example.org",), True),
    )
    for host, hosts, is_right in cases:
        guard = attempt.Guard(hosts, loopback=False)
        with nullcontext() if is_right else pytest.raises(OSError, match="may not go there"):
            guard.look(event, (None, (host, 514)))
    # Of one that is connected, which was checked.
    guard.look(event, (None, None))


def test_a_library_may_talk_to_its_own_process() -> None:
    guard = attempt.Guard(("example.org",), loopback=False)
    with socket.create_server(("127.0.0.1", 0)) as own:
        guard.look("socket.bind", (own, ("127.0.0.1", 0)))
        guard.look("socket.connect", (None, own.getsockname()))
    with pytest.raises(OSError, match="may not go there"):
        guard.look("socket.connect", (None, ("127.0.0.1", 1)))


@pytest.mark.parametrize(
    ("host", "is_right"),
    [
        *((host, True) for host in ("example.org", "EXAMPLE.org.", b"example.org", "a.b.home")),
        *((host, False) for host in ("home", "example.org.evil", "notexample.org", None)),
    ],
)
def test_only_hosts_of_the_list_are_looked_up(host: str | bytes | None, is_right: bool) -> None:
    guard = attempt.Guard(("example.org", ".home"), loopback=False)
    if is_right:
        guard.look("socket.getaddrinfo", (host, 80, 0, 0, 0))
    else:
        with pytest.raises(OSError, match="may not go there"):
            guard.look("socket.getaddrinfo", (host, 80, 0, 0, 0))


@needs_apprise
def test_apprise_does_not_reach_this_machine_either(receiver: Receiver, tmp_path: Path) -> None:
    file = tmp_path / "urls"
    file.write_text(f"json://localhost:{receiver.port}/\n")
    file.chmod(0o600)
    text = Text(title="t", body="b")
    message = {"id": "1", "occasion": "test", **asdict(text)}
    for loopback, trouble in ((False, "host"), (True, "")):
        channel = Apprise(name="x", urls_file=str(file), loopback=loopback)
        assert troubles_of(jobs_of(channel, message, 0)) == [trouble]
    assert len(receiver.received) == 1


# Files of this machine

# How a parameter of a name may be written so that Apprise still reads it.
SPELLINGS = (
    "?{name}={file}",
    "/#?{name}={file}",
    "#?{name}={file}",
    "?{name}+={file}",
    "?%20{name}={file}",
    "?{name}%09={file}",
    "?image=no;{name}={file}",
    "?image=no&{upper}={file}",
    "?%{first:x}{rest}={file}",
    "?{name}=ok&{name}={file}",
    "?{name}=file%3A//{file}",
    "?{name}=",
)
PARAMETERS = (
    ("discord://123456789012345678/token", "template"),
    ("https://discord.com/api/webhooks/123456789012345678/token", "template"),
    ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "template"),
    ("tgram://123456789:abcdefghijklmnopqrstuvwxyzABCDEFGHI/12345678", "template"),
    ("workflows://127.0.0.1:9/workflow/signature", "template"),
    ("mailtos://a:b@example.org", "pgppub"),
    ("mailtos://a:b@example.org", "pgpprv"),
    ("mailtos://a:b@example.org", "pgpkey"),
    ("vapid://a@example.org", "subfile"),
    ("vapid://a@example.org", "keyfile"),
    ("fcm://project/device", "keyfile"),
    ("ntfys://ntfy.sh/topic", "attach"),
    ("json://example.org", "anything"),
)


def spelled(url: str, name: str, file: str) -> list[str]:
    first, rest = ord(name[0]), name[1:]
    texts = {"name": name, "upper": name.upper(), "first": first, "rest": rest, "file": file}
    return [url + spelling.format(**texts) for spelling in SPELLINGS]


def troubles_of_lines(lines: list[str]) -> dict[str, str]:
    """What each line is told, by a process of its own: Apprise warns while it is imported."""
    code = """
import json, sys
from flask10x.alerts.delivery import apprise_urls
print(json.dumps({line: apprise_urls.trouble_of(line) for line in json.load(sys.stdin)}))
"""
    run = subprocess.run(
        [sys.executable, "-P", "-c", code],
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        check=True,
        timeout=WITHIN_SEC,
    )
    troubles: dict[str, str] = json.loads(run.stdout)
    assert len(troubles) == len(lines)
    return troubles


@needs_apprise
def test_no_spelling_of_a_parameter_names_a_file() -> None:
    """The parser is Apprise's own, so what it reads is what is judged."""
    lines = [
        line
        for url, name in PARAMETERS
        for line in (
            *spelled(url, name, "/etc/passwd"),
            # One line may have several URLs.
            f"json://example.org/,{url}?{name}=/etc/passwd",
            f"json://example.org/ {url}?{name}=/etc/passwd",
        )
    ]
    troubles = troubles_of_lines(lines)
    assert [line for line, trouble in troubles.items() if not trouble] == []
    named = [line for line, trouble in troubles.items() if trouble.startswith("parameter")]
    # Those of one kind with `#` alone are no URL to it.
    assert len(named) > 0.9 * len(lines)
    assert troubles["discord://123456789012345678/token?template+=/etc/passwd"] == (
        "parameter:template"
    )
    assert troubles["json://example.org?anything=/etc/passwd"] == "parameters"


@needs_apprise
def test_what_names_no_file_is_taken() -> None:
    expected = {
        "ntfys://ntfy.sh/topic?priority=high&click=https://example.org/&tags=house": "",
        "mailtos://a:b@example.org?to=c@example.org&mode=ssl&from=a@example.org&pgp=yes": "",
        "json://example.org/x?+X-Key=secret&:message=text&-a=b&method=PUT": "",
        "sendgrid://apikey:from@example.org/to@example.org?template=d-1234": "",
        "discord://123456789012345678/token?avatar=no&thread=5": "",
        "json://user:pass@example.org:8080/a/b?verify=no&rto=3&format=text": "",
        # This is a header.
        "json://example.org/?+template=/etc/passwd": "",
        **{f"{kind}://": "local_way" for kind in ("dbus", "gnome", "syslog", "DBUS")},
        "syslog:/\\/local0": "bad_url",
        "nonsense://x y": "bad_url",
        "": "bad_url",
    }
    assert troubles_of_lines([*expected]) == expected


@needs_apprise
def test_the_process_that_sends_judges_the_url_too(tmp_path: Path) -> None:
    """One that was saved before, or put into its file by another hand."""
    (file := tmp_path / "template").write_text("the secret of the house")
    url = f"workflows://127.0.0.1:9/workflow/signature?template+={file}"
    sent = {"kind": "apprise", "title": "t", "type": "info"}
    assert result_of(job(url, **sent, loopback=False)) == "parameter:template"
    # Written by hand it may.
    assert result_of(job(url, **sent, loopback=True)) == "not_taken"


OPENS = """
import os, sys
from flask10x.alerts.delivery.attempt import Guard

path = sys.argv[1]
os.symlink(path, f"{path}.link")
guard = Guard((), loopback=sys.argv[2] == "open")
sys.addaudithook(guard.look)
import email.mime.image, json.tool, zoneinfo, pathlib, subprocess  # They are of the library.
assert zoneinfo.ZoneInfo("Asia/Tokyo") and os.urandom(1) and open(os.devnull).read() == ""

relative = os.path.relpath(path)
tries = {
    "open": lambda: open(path),
    "bytes": lambda: open(path.encode()),
    "os.open": lambda: os.open(path, os.O_RDONLY),
    "path": lambda: pathlib.Path(path).read_text(),
    "relative": lambda: open(relative),
    "link": lambda: open(f"{path}.link"),
    "through the library": lambda: open(f"{os.path.dirname(os.__file__)}/../../../../..{path}"),
    "write": lambda: open(f"{path}.new", "w"),
    "append": lambda: open(os.__file__, "a"),
    "folder": lambda: os.open(os.path.dirname(path), os.O_RDONLY),
    "descriptor": lambda: open("/proc/self/environ"),
    "program": lambda: subprocess.run(["/bin/cat", path]),
    "system": lambda: os.system("true"),
    "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
    "exec": lambda: os.execv("/nowhere", ["nowhere"]),
}
for name, action in tries.items():
    try:
        action()
    except PermissionError:
        continue
    except FileNotFoundError:
        pass
    print(name)
"""


@pytest.mark.parametrize("is_closed", [True, False])
def test_the_process_that_sends_opens_no_other_file(tmp_path: Path, is_closed: bool) -> None:
    (file := tmp_path / "administrators").write_text("secret")
    reach = "closed" if is_closed else "open"
    command = [sys.executable, "-P", "-c", OPENS, str(file), reach]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=WITHIN_SEC)
    opened = result.stdout.split("\n")[:-1]
    if is_closed:
        assert opened == []
    else:
        assert len(opened) == 15


@needs_apprise
def test_what_apprise_needs_it_may_open(tmp_path: Path) -> None:
    """And not the passwords of its user, which requests would send along."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password s3cret\n")
    (tmp_path / ".netrc").chmod(0o600)
    with receiving() as receiver, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path))
        sent = {"kind": "apprise", "title": "t", "type": "info", "hosts": ["127.0.0.1"]}
        assert result_of(job(json_url(receiver), **sent, loopback=False)) == ""
        assert result_of(job(json_url(receiver), **sent, loopback=True)) == ""
        closed, by_hand = receiver.received
    assert "Authorization" not in closed.headers
    assert "Authorization" in by_hand.headers
