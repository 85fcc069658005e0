"""Tokens, host names and foreign pages, with a real service and real sockets."""

import shutil
import socket
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from flask10x.config import settings as settings_module
from flask10x.maintenance.backup import backup
from tests.e2e.conftest import MakeService, make_services
from tests.e2e.senders import (
    ANSWER_TIMEOUT_SEC,
    HOST,
    Answer,
    exchange,
    raw_connection,
    read_answer,
)
from tests.e2e.service import Service

WRITE = "write-0123456789abcdef"
READ = "read-0123456789abcdef"
GOOD = b'{"pressure": 1013.25, "temperature": 25.1}'
SMUGGLED = b"POST /data HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n" % WRITE.encode()


def secret(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def lock(make: MakeService, folder: Path) -> Service:
    return make(
        write_tokens_file=secret(folder / "write", f"* {WRITE}\n"),
        read_tokens_file=secret(folder / "read", f"* {READ}\n"),
        allowed_hosts="raspberrypi.local",
    )


@pytest.fixture
def locked(service: MakeService, tmp_path: Path) -> Service:
    return lock(service, tmp_path)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One for all tests that leave it running."""
    folder = tmp_path_factory.mktemp("locked")
    with make_services(folder) as make:
        yield lock(make, folder)


def request(path: str, body: bytes, *headers: str, version: str = "1.1") -> bytes:
    head = [f"POST {path} HTTP/{version}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


def get(service: Service, path: str, token: str) -> int:
    connection = HTTPConnection(HOST, service.port, timeout=ANSWER_TIMEOUT_SEC)
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    status = connection.getresponse().status
    connection.close()
    return status


def check_unauthorized(answer: Answer) -> None:
    assert answer.status == 401
    assert answer.json["error"] == "unauthorized"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.headers["www-authenticate"].endswith('Bearer realm="flask10x"')


def test_a_board_without_a_host_posts_with_its_token(lasting: Service) -> None:
    before = lasting.count()
    token = f"Authorization: Bearer {WRITE}"
    answer = exchange(lasting.port, request("/data", GOOD, token, version="1.0"))
    assert (answer.status, answer.json) == (200, {"status": "enqueued"})
    # `auth=("", token)` of MicroPython's requests.
    basic = "Authorization: Basic " + b64encode(f":{WRITE}".encode()).decode()
    answer = exchange(lasting.port, request("/data", GOOD, "Host: 192.168.1.20:8888", basic))
    assert answer.status == 200
    lasting.wait_for_rows(before + 2)
    answer = exchange(lasting.port, request("/data", GOOD, "Host: evil.example", token))
    assert (answer.status, answer.json["error"]) == (400, "unknown host")
    lasting.wait_for_rows(before + 2)


def test_the_unread_body_is_not_the_next_request(lasting: Service) -> None:
    before = lasting.count()
    smuggled = SMUGGLED + b"Content-Length: %d\r\n\r\n%s" % (len(GOOD), GOOD)
    for size in (0, 20_000):
        body = smuggled + b" " * size
        with raw_connection(lasting.port) as sock:
            sock.sendall(request("/data", body, "Host: localhost"))
            check_unauthorized(read_answer(sock))
            assert at_end(sock)
    assert (
        exchange(
            lasting.port,
            request("/data", GOOD, "Host: localhost", f"Authorization: Bearer {WRITE}"),
        ).status
        == 200
    )
    lasting.wait_for_rows(before + 1)


LONG = 65_536
REFUSED: list[tuple[int, list[str]]] = [
    (401, ["Host: localhost"]),
    (401, ["Host: localhost", "Authorization: Bearer guessed-0123456789abcdef"]),
    (403, ["Host: localhost", f"Authorization: Bearer {WRITE}", "Origin: http://evil.example"]),
    (400, ["Host: evil.example", f"Authorization: Bearer {WRITE}"]),
]


@pytest.mark.parametrize("framing", [f"Content-Length: {LONG}", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize(("status", "headers"), REFUSED)
def test_a_refusal_does_not_wait_for_the_body(
    lasting: Service, status: int, headers: list[str], framing: str
) -> None:
    """Awaited, it would be a 408."""
    for more in ([], ["Expect: 100-continue"]):
        head = "\r\n".join(["POST /data2 HTTP/1.1", framing, *headers, *more, "", ""])
        with raw_connection(lasting.port) as sock:
            sock.sendall(head.encode())
            # The first that comes is the answer: nobody is told to go on.
            assert sock.recv(12, socket.MSG_PEEK | socket.MSG_WAITALL) == b"HTTP/1.1 %d" % status
            answer = read_answer(sock)
            assert answer.headers["connection"] == "close"
            assert answer.headers["content-length"] == str(len(answer.body))
            assert at_end(sock)


@pytest.mark.parametrize("sent_bytes", [1, LONG // 2, LONG])
def test_a_sender_that_goes_on_sending_still_reads_the_refusal(
    lasting: Service, sent_bytes: int
) -> None:
    head = f"POST /data2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LONG}\r\n\r\n"
    with raw_connection(lasting.port) as sock:
        sock.sendall(head.encode())
        assert sock.recv(12, socket.MSG_PEEK | socket.MSG_WAITALL) == b"HTTP/1.1 401"
        # Closed with these unread, the kernel would throw the answer away.
        for _ in range(min(sent_bytes, 8)):
            sock.sendall(b" " * (sent_bytes // min(sent_bytes, 8)))
        check_unauthorized(read_answer(sock))
        assert at_end(sock)


def test_who_may_post_is_waited_for(lasting: Service) -> None:
    before = lasting.count()
    head = (
        f"POST /data HTTP/1.1\r\nHost: raspberrypi.local.:8888\r\nExpect: 100-continue\r\n"
        f"Authorization: Bearer {WRITE}\r\nContent-Length: {len(GOOD)}\r\n\r\n"
    )
    with raw_connection(lasting.port) as sock:
        sock.sendall(head.encode())
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        for byte in GOOD:
            sock.sendall(bytes([byte]))
        answer = read_answer(sock)
    assert (answer.status, answer.json) == (200, {"status": "enqueued"})
    lasting.wait_for_rows(before + 1)


def test_health_is_told_under_any_name(lasting: Service) -> None:
    for host in ("evil.example", "10.0.0.1.evil.example:8888", "[", "a b", "<script>"):
        answer = exchange(lasting.port, f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert (answer.status, answer.json) == (200, {"status": "ok"}), host


def at_end(sock: socket.socket) -> bool:
    """Whether the server has closed the connection and sent nothing more."""
    try:
        return sock.recv(1000) == b""
    except ConnectionResetError:
        return True


HOSTILE = ["\x1b[31mred", "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "\u202etxt", "\x85x"]


def test_nobody_is_shown_a_token_and_what_is_hostile_is_plain_lines_of_the_log(
    locked: Service,
) -> None:
    for text in HOSTILE:
        for header in ("Host", "Origin", "Authorization"):
            head = ["POST /data2 HTTP/1.1", f"{header}: {text}", "Connection: close", "", ""]
            answer = exchange(locked.port, "\r\n".join(head).encode())
            assert answer.status in (400, 401, 403)
            assert b"<script" not in answer.body
    for token in (WRITE, READ, f"{WRITE}-guessed"):
        for line in (f"Authorization: Bearer {token}", f"Authorization: Basic :{token}"):
            exchange(locked.port, request("/data", GOOD, "Host: localhost", line))
            exchange(locked.port, request("/data", b"{", "Host: localhost", line))
    for path in ("/metrics", "/metrics/details", "/history", "/history/rejected", "/readyz"):
        assert get(locked, path, READ) == 200
    locked.stop()
    lines = locked.log()
    assert any("unknown host (Host: " in line for line in lines)
    assert any("posted by another origin (Origin: " in line for line in lines)
    for line in lines:
        assert line.isprintable(), line
    told = "\n".join(lines) + locked.output()
    assert "refused: wrong token, from 127.0.0.1" in told
    assert WRITE not in told
    assert READ not in told
    for file in locked.data_dir.rglob("*"):
        assert not file.is_file() or WRITE.encode() not in file.read_bytes(), file


@pytest.mark.parametrize("options", [[], ["--development"]], ids=["production", "development"])
def test_a_bad_file_keeps_it_from_starting(
    service: MakeService, tmp_path: Path, options: list[str]
) -> None:
    file = secret(tmp_path / "write", f"{WRITE}\n")
    running = service(start=False, write_tokens_file=file)
    running.launch(*options)
    assert running.process.wait(25) != 0
    assert running.output() == (
        f"flask10x: FLASK10X_WRITE_TOKENS_FILE is {file}: line 1: two words are needed:"
        " one of *, data, data2, data3, data4, and the token\n"
    )


def test_a_backup_and_a_check_need_no_token(lasting: Service, tmp_path: Path) -> None:
    before = lasting.count()
    token = f"Authorization: Bearer {WRITE}"
    exchange(lasting.port, request("/data", GOOD, "Host: localhost", token))
    lasting.wait_for_rows(before + 1)
    # Who runs the backup may not be able to read the tokens, and need not.
    environment = lasting.environment | {"FLASK10X_READ_TOKENS_FILE": "/nowhere"}
    done = backup(settings_module.load(environment), tmp_path / "backups")
    assert (done.warnings, done.rows) == ((), lasting.count())
    checked = lasting.command("check")
    assert "stores readings" in checked.stdout, checked.stdout + checked.stderr


@contextmanager
def credentials(folder: Path, text: str) -> Iterator[Path]:
    """A folder as systemd makes it for LoadCredential=: read-only, for the service alone."""
    folder.mkdir(mode=0o700)
    file = folder / "write-tokens"
    file.write_text(text)
    file.chmod(0o400)
    folder.chmod(0o500)
    yield folder
    folder.chmod(0o700)


@pytest.mark.tools
def test_a_credential_of_systemd(service: MakeService, tmp_path: Path) -> None:
    running = service(start=False, write_tokens_file="credential:write-tokens")
    with credentials(tmp_path / "credentials", f"data {WRITE}\n") as folder:
        running.environment["CREDENTIALS_DIRECTORY"] = str(folder)
        running.start()
        check_unauthorized(running.post("data", GOOD))
        answer = exchange(
            running.port,
            request("/data", GOOD, "Host: localhost", f"Authorization: Bearer {WRITE}"),
        )
        assert answer.status == 200
        running.stop()


def test_what_a_blob_without_a_type_sends_is_refused(lasting: Service) -> None:
    """`fetch(url, {method: "POST", mode: "no-cors", body: new Blob([text])})` of a browser."""
    before = lasting.count()
    sent = request(
        "/data", GOOD, "Host: 192.168.1.20:8888", "Origin: http://evil.example", "Accept: */*"
    )
    answer = exchange(lasting.port, sent)
    assert (answer.status, answer.json["error"]) == (403, "forbidden")
    assert lasting.count() == before


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_as_in_the_documents(lasting: Service) -> None:
    url = f"http://{HOST}:{lasting.port}"
    for arguments in (["-u", f":{READ}"], ["-H", f"Authorization: Bearer {READ}"]):
        done = subprocess.run(
            ["curl", "-sf", *arguments, f"{url}/history/json"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith("[")
