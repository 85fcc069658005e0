"""Files that a browser sends to a real service: large ones, broken ones, kills in the middle."""

import http.client
import os
import re
import signal
import socket
from contextlib import suppress
from urllib.parse import urlencode, urlsplit

import pytest

from flask10x.system.background import Background
from flask10x.system.uploads import Uploads
from tests.e2e.conftest import MakeService
from tests.e2e.senders import HOST
from tests.e2e.service import Service, wait_until

pytestmark = pytest.mark.tools

WITHIN_SEC = 120
BOUNDARY = "a-boundary"
KIND = f"multipart/form-data; boundary={BOUNDARY}"
LINE = b"2022-01-01 %02d:%02d:%02d,990.5,20.25\r\n"
DAY = b"".join(LINE % (s // 3600, s // 60 % 60, s % 60) for s in range(86_400))
HEADER = b"current_time,Pressure,Tempereture\r\n"


class Administrator:
    """What a browser does that has become an administrator's."""

    def __init__(self, service: Service) -> None:
        self._service = service
        link = urlsplit(service.command("admin-link").stdout.splitlines()[0]).path.split("/")[-1]
        self._cookie = ""
        answer, _ = self.ask("POST", "/setup/link", urlencode({"link": link}).encode())
        self._cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
        match = re.search(r'name="token" value="(\w+)"', self.page)
        assert match
        self.token = match[1]

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        kind: str = "application/x-www-form-urlencoded",
    ) -> tuple[http.client.HTTPResponse, str]:
        connection = http.client.HTTPConnection(HOST, self._service.port, timeout=WITHIN_SEC)
        connection.request(method, path, body, {"Cookie": self._cookie, "Content-Type": kind})
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        connection.close()
        return answer, text

    @property
    def page(self) -> str:
        return self.ask("GET", "/setup/files")[1]

    def press(self, path: str, **fields: str) -> int:
        body = urlencode({"token": self.token, **fields}).encode()
        return self.ask("POST", f"/setup/files/{path}", body)[0].status

    def form(self, content: bytes, name: str = "PicodataX.csv") -> bytes:
        part = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
        head = f'{part}"token"\r\n\r\n{self.token}\r\n'
        head += f'{part}"files"; filename="{name}"\r\n\r\n'
        return head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()

    def send(self, content: bytes, name: str = "PicodataX.csv") -> tuple[int, str]:
        answer, text = self.ask("POST", "/setup/files/upload", self.form(content, name), KIND)
        return answer.status, text

    def begin(self, length: int) -> socket.socket:
        """Send the head of an upload of this length only."""
        sock = socket.create_connection((HOST, self._service.port), timeout=WITHIN_SEC)
        head = f"POST /setup/files/upload HTTP/1.1\r\nHost: {HOST}\r\nCookie: {self._cookie}\r\n"
        sock.sendall(f"{head}Content-Type: {KIND}\r\nContent-Length: {length}\r\n\r\n".encode())
        return sock

    def wait(self) -> str:
        """The page when nothing runs any more."""
        wait_until(lambda: 'data-running="yes"' not in self.page, WITHIN_SEC, "it has ended")
        return self.page


@pytest.fixture
def house(service: MakeService) -> Service:
    return service(commit_interval_sec=0)


@pytest.fixture
def administrator(house: Service) -> Administrator:
    return Administrator(house)


def answer_of(sock: socket.socket) -> str:
    """All that the service answers before it closes."""
    data = b""
    while piece := sock.recv(65_536):
        data += piece
    return data.decode(errors="replace")


def test_too_long_a_body_is_refused_by_its_head(
    house: Service, administrator: Administrator
) -> None:
    with administrator.begin(2_000_000_000) as sock:
        text = answer_of(sock)
    assert text.startswith("HTTP/1.1 413 ") and "at most 1.0 GB can be sent at once" in text
    # Nor is anything read of a stranger's.
    administrator._cookie = ""
    with administrator.begin(500_000_000) as sock:
        assert answer_of(sock).startswith("HTTP/1.1 403 ")
    assert house.post("data", {"temperature": "20C", "pressure": "1000hPa"}).status == 200


def test_an_upload_that_breaks_off_leaves_nothing(
    house: Service, administrator: Administrator
) -> None:
    form = administrator.form(HEADER + DAY)
    with administrator.begin(len(form)) as sock:
        sock.sendall(form[:1_000_000])
        wait_until(lambda: Uploads(house.data_dir).files, WITHIN_SEC, "a part is there")
        # Meanwhile readings and pages are answered, and no second upload begins.
        assert house.post("data", {"temperature": "20C", "pressure": "1000hPa"}).status == 200
        assert administrator.send(HEADER)[0] == 409
    wait_until(lambda: not Uploads(house.data_dir).files, WITHIN_SEC, "it is gone")
    assert administrator.send(HEADER + DAY[:1000])[0] == 303
    assert "To be stored" in administrator.wait()


def test_a_stop_does_not_wait_for_an_upload_and_a_start_removes_its_part(
    house: Service, administrator: Administrator
) -> None:
    form = administrator.form(HEADER + DAY)
    with administrator.begin(len(form)) as sock:
        sock.sendall(form[:1_000_000])
        wait_until(lambda: Uploads(house.data_dir).files, WITHIN_SEC, "a part is there")
        house.stop()
    house.start()
    with administrator.begin(len(form)) as sock:
        sock.sendall(form[:1_000_000])
        wait_until(lambda: Uploads(house.data_dir).files, WITHIN_SEC, "a part is there")
        # All at once, as by a power cut.
        house.close()
    assert Uploads(house.data_dir).files
    house.start()
    assert not Uploads(house.data_dir).files


def test_an_import_that_was_killed_is_finished_by_the_next(
    house: Service, administrator: Administrator
) -> None:
    assert administrator.send(HEADER + DAY)[0] == 303
    assert "86,400" in administrator.wait()
    assert administrator.press("import", do="import") == 303
    background = Background(house.data_dir)
    wait_until(lambda: house.count() > 0, WITHIN_SEC, "some rows are stored")
    note = (background.folder / ".lock").read_text().split()[0]
    if background.is_running:
        # It may just be done.
        with suppress(ProcessLookupError):
            os.kill(int(note), signal.SIGKILL)
    text = administrator.wait()
    assert "ended before it was done" in text or "stored" in text
    assert administrator.press("import", do="import") == 303
    text = administrator.wait()
    assert "0 rejected" in text
    assert house.count() == 86_400
    house.check_integrity()


def test_a_command_is_cancelled(house: Service, administrator: Administrator) -> None:
    assert administrator.send(HEADER + DAY * 5)[0] == 303
    administrator.press("cancel")
    administrator.wait()
    assert administrator.press("discard") == 303
    assert not Uploads(house.data_dir).files


@pytest.mark.sqlite_only("a backup is restored as a file")
def test_restoring_loses_no_reading_that_was_answered(
    house: Service, administrator: Administrator
) -> None:
    house.post("data", {"temperature": "20C", "pressure": "1000hPa"})
    house.wait_for_rows(1)
    house.command("backup")
    (backup,) = (house.data_dir / "backups").glob("*.sqlite3")
    assert administrator.send(backup.read_bytes(), "b.sqlite3")[0] == 303
    assert "Restore this backup" in administrator.wait()
    answered = 1
    for number in range(5):
        status = house.post(
            "data", {"temperature": "21C", "pressure": f"{1001 + number}hPa"}
        ).status
        answered += status == 200
    assert administrator.press("restore", part="readings") == 202
    for number in range(40):
        status = house.post("data", {"temperature": "22C", "pressure": f"{900 + number}hPa"}).status
        answered += status == 200
    assert "restored from b.sqlite3" in administrator.wait()
    house.wait_for_rows(answered)
    assert house.count() == answered == 46
    assert list(house.data_dir.glob("*.replaced-*"))
    house.check_integrity()


def test_a_copy_of_an_exported_file_is_taken_in_its_own_zone_only(
    house: Service, administrator: Administrator
) -> None:
    for number in range(20):
        house.post("data", {"temperature": "20C", "pressure": f"{990 + number}hPa"})
    house.wait_for_rows(20)
    house.export()
    copy = (house.csv_dir / "PicodataX.csv").read_bytes()
    assert administrator.send(copy)[0] == 303
    assert "To be stored</dt><dd><strong>0</strong>" in administrator.wait()
    refused = "the file was written in the time zone Asia/Tokyo, this command runs in UTC"
    for choice in ("preview", "import"):
        assert administrator.press("import", do=choice, zone="UTC") == 303
        assert refused in administrator.wait()
    assert administrator.press("import", do="import", zone="Asia/Tokyo") == 303
    assert "20 rows read, 0 stored, 20 present" in administrator.wait()
    assert house.count() == 20
