"""Which thread answers what, and how long answers give way."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import gevent
import pytest

from flask10x.config import settings
from flask10x.readings.parse import BODY_MAX_BYTES
from flask10x.server import application as module
from flask10x.server.application import Threads
from flask10x.system.limits import MAX_NICE, NICER_BY
from flask10x.web.ingest.fast_path import Lanes
from flask10x.web.limits import BATCH_MAX_BYTES, CONFLICTS, LARGE_BODIES_MAX

LANES = Lanes(settings.load({"FLASK10X_DATA_DIR": "/nowhere"}))
MAIN = threading.get_ident()


@dataclass
class Request:
    """What the front knows of a request, and of its connection."""

    is_here: bool = True
    closes: bool = False
    conflicts: Mapping[str, str] = field(default_factory=dict)

    @property
    def request(self) -> "Request":
        return self

    def expect(self, _length: int | None, _max_bytes: int = 0) -> bool:
        return self.is_here

    def force_close(self) -> None:
        self.closes = True


def threads(app: Any, number: int = 1, refuses: bool = False) -> Threads:
    return Threads(app, number, lambda _environ: refuses, LANES)


def environ(path: str = "/history", method: str = "GET", body: bytes = b"") -> dict[str, Any]:
    return {
        "PATH_INFO": path,
        "REQUEST_METHOD": method,
        "wsgi.input": BytesIO(body),
        "gunicorn.socket": Request(),
    }


def start(*_: Any) -> Any:
    """WSGI's `start_response`, whose arguments no test here looks at."""


def asked(app: Any, number: int = 1, **kwargs: Any) -> bytes:
    return b"".join(threads(app, number)(environ(**kwargs), start))


def tells_thread(_environ: Any, _start: Any) -> Iterable[bytes]:
    return [b"main" if threading.get_ident() == MAIN else b"other"]


@pytest.mark.parametrize("conflicts", [{}, {"Host": "a, b"}])
def test_the_application_gets_the_lines_that_differ(conflicts: dict[str, str]) -> None:
    def tells(environ: Any, _start: Any) -> Iterable[bytes]:
        return [str(environ.get(CONFLICTS)).encode()]

    request = environ("/data", "POST") | {"gunicorn.socket": Request(conflicts=conflicts)}
    expected = b"{'Host': 'a, b'}" if conflicts else b"None"
    assert b"".join(threads(tells)(request, start)) == expected


@pytest.mark.parametrize(
    ("method", "path", "thread"),
    [
        ("POST", "/data", b"main"),
        ("POST", "/data4", b"main"),
        ("GET", "/healthz", b"main"),
        ("GET", "/data", b"other"),
        ("GET", "/readyz", b"other"),
        ("GET", "/metrics", b"other"),
        ("GET", "/history", b"other"),
        ("POST", "/history/rejected", b"other"),
        ("POST", "/api/v1/readings", b"other"),
        ("GET", "/api/v1/time", b"other"),
    ],
)
def test_only_what_sensors_post_is_answered_by_the_main_thread(
    method: str, path: str, thread: bytes
) -> None:
    assert asked(tells_thread, method=method, path=path) == thread


@pytest.mark.parametrize(
    ("body", "more"),
    [(b"{}", {"HTTP_IDEMPOTENCY_KEY": "1"}), (b" [{}]", {}), (b"\xef\xbb\xbf[{}]", {})],
)
def test_a_key_and_an_array_are_for_other_threads_which_no_page_holds_up(
    body: bytes, more: dict[str, str]
) -> None:
    ring = threading.Event()

    def app(environ: Any, start: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/history":
            assert ring.wait(20)
        return tells_thread(environ, start)

    both = threads(app)
    page = gevent.spawn(lambda: b"".join(both(environ(), start)))
    gevent.sleep(0)
    made = environ("/data", "POST", body) | {"CONTENT_LENGTH": str(len(body))} | more
    assert b"".join(both(made, start)) == b"other"
    assert not page.ready()
    ring.set()
    page.join(20)


@pytest.mark.parametrize(
    ("given", "lane"),
    [
        ({}, "senders"),
        ({"ACK": "committed"}, "at_once"),
    ],
)
def test_with_committed_no_key_is_looked_up_first(given: dict[str, str], lane: str) -> None:
    names = {"DATA_DIR": "/nowhere", "REPEAT_WINDOW_SEC": "60"} | given
    lanes = Lanes(settings.load({f"FLASK10X_{name}": value for name, value in names.items()}))
    assert lanes(environ("/data", "POST"), b"{}") == lane
    keyed = environ("/data", "POST") | {"HTTP_IDEMPOTENCY_KEY": "1"}
    assert lanes(keyed, b"{}") == lane
    # A dry run asks, for there will be no commit to tell.
    assert lanes(keyed | {"QUERY_STRING": "dry_run=1"}, b"{}") == "senders"
    assert lanes(keyed, b"[{}]") == "senders"


def test_only_so_many_large_bodies_are_held() -> None:
    ring = threading.Event()
    lines: list[Any] = []

    def app(_environ: Any, _start: Any) -> Iterable[bytes]:
        assert ring.wait(20)
        return [b"stored"]

    both = threads(app)

    def note(*head: Any) -> Any:
        lines.append(head)

    def post(length: int) -> bytes:
        made = environ("/api/v1/readings", "POST", b"[]") | {"CONTENT_LENGTH": str(length)}
        return b"".join(both(made, note))

    asking = [gevent.spawn(post, BATCH_MAX_BYTES) for _ in range(LARGE_BODIES_MAX)]
    gevent.sleep(0)
    small = gevent.spawn(post, BODY_MAX_BYTES)
    assert b"too many large bodies" in post(BODY_MAX_BYTES + 1)
    ((status, head),) = lines
    assert status.startswith("503 ") and dict(head)["Retry-After"] == "5"
    ring.set()
    gevent.joinall([*asking, small], 20)
    assert {greenlet.value for greenlet in (*asking, small)} == {b"stored"}
    assert post(BATCH_MAX_BYTES) == b"stored"


@pytest.mark.parametrize(("method", "nicer_by"), [("POST", 0), ("GET", NICER_BY)])
def test_what_may_take_long_gives_way_to_what_sensors_post(method: str, nicer_by: int) -> None:
    def tells_niceness(_environ: Any, _start: Any) -> Iterable[bytes]:
        return [str(os.getpriority(os.PRIO_PROCESS, 0)).encode()]

    ours = os.getpriority(os.PRIO_PROCESS, 0)
    expected = min(ours + nicer_by, MAX_NICE)
    assert asked(tells_niceness, method=method, path="/data") == str(expected).encode()
    assert os.getpriority(os.PRIO_PROCESS, 0) == ours


def test_the_main_thread_goes_on_while_others_answer() -> None:
    ring = threading.Event()

    def app(_environ: Any, _start: Any) -> Iterable[bytes]:
        assert ring.wait(20)
        return [b"slow"]

    slow = gevent.spawn(asked, app)
    gevent.sleep(0)
    assert not slow.ready()
    ring.set()
    slow.join(20)
    assert slow.value == b"slow"


def test_one_request_has_one_context_in_whatever_thread() -> None:
    number: ContextVar[int] = ContextVar("number", default=0)

    def app(_environ: Any, _start: Any) -> Iterator[bytes]:
        for _ in range(20):
            number.set(number.get() + 1)
            yield b"x" * module.BLOCK_BYTES
        yield str(number.get()).encode()

    assert asked(app, 4).endswith(b"x20")
    assert number.get() == 0


def test_a_long_answer_lets_others_go_first_after_each_block() -> None:
    order: list[str] = []

    def app(_environ: Any, _start: Any) -> Iterator[bytes]:
        for _ in range(3):
            order.append("piece")
            yield b"x" * module.BLOCK_BYTES

    def page(_environ: Any, _start: Any) -> Iterable[bytes]:
        order.append("page")
        return [b"a page ", b"in pieces"]

    both = threads(lambda e, s: (page if e["PATH_INFO"] == "/page" else app)(e, s))

    def ask(path: str) -> bytes:
        return b"".join(both(environ(path), start))

    asking = [gevent.spawn(ask, path) for path in ("/download", "/page")]
    gevent.joinall(asking, 20)
    assert order.index("page") <= 2
    assert asking[1].value == b"a page in pieces"
    assert len(asking[0].value) == 3 * module.BLOCK_BYTES


def test_pieces_that_take_long_are_sent_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_SEC", 0.0)
    answer = threads(lambda *_: [b"a", b"b"])(environ(), start)
    assert [piece for piece in answer if piece] == [b"a", b"b"]


@pytest.mark.parametrize("fails", [True, False])
def test_an_answer_is_closed_and_its_error_is_raised(fails: bool) -> None:
    closed: list[int] = []

    class Answer:
        def __iter__(self) -> Iterator[bytes]:
            yield b"begun"
            if fails:
                raise OSError("the card is gone")

        def close(self) -> None:
            closed.append(threading.get_ident())

    ask: Callable[[], bytes] = lambda: asked(lambda *_: Answer())  # noqa: E731
    if fails:
        with pytest.raises(OSError, match="the card is gone"):
            ask()
    else:
        assert ask() == b"begun"
    assert len(closed) == 1 and closed[0] != MAIN


def test_a_reader_that_goes_ends_its_download() -> None:
    ended: list[str] = []

    def app(_environ: Any, _start: Any) -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * module.BLOCK_BYTES
        finally:
            ended.append("here")

    answer = iter(threads(app)(environ(), start))
    next(answer)
    answer.close()  # type: ignore[attr-defined]
    assert ended == ["here"]


@pytest.mark.parametrize("path", ["/data2", "/history"])
@pytest.mark.parametrize("reads", [True, False])
def test_an_answer_without_the_body_is_the_last_one(path: str, reads: bool) -> None:
    def app(environ: Any, _start: Any) -> Iterable[bytes]:
        if reads:
            environ["wsgi.input"].read()
        return [b""]

    made = environ(path, "POST", b"{}")
    list(threads(app)(made, start))
    assert made["gunicorn.socket"].closes is not reads


@pytest.mark.parametrize(
    ("length", "refuses", "is_here", "is_read"),
    [
        (str(BODY_MAX_BYTES), False, False, True),
        (str(BODY_MAX_BYTES + 1), False, False, False),
        ("2", True, False, False),
        ("2", True, True, True),
    ],
)
def test_a_body_that_is_refused_is_not_waited_for(
    length: str, refuses: bool, is_here: bool, is_read: bool
) -> None:
    asked: list[bytes] = []

    def app(environ: Any, _start: Any) -> Iterable[bytes]:
        asked.append(environ["wsgi.input"].read())
        return [b""]

    made = environ("/data2", "POST", b"{}") | {"CONTENT_LENGTH": length}
    made["gunicorn.socket"].is_here = is_here
    list(threads(app, refuses=refuses)(made, start))
    assert asked == [b"{}" if is_read else b""]
    assert made["gunicorn.socket"].closes is not is_read
