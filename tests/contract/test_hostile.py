"""Names and strings made to do harm: they reach no log, page, CSV or header as they came."""

import json
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export import append
from flask10x.recording.writer import Writer
from flask10x.system import log_file, logs, wording

HOSTILE = [
    "two\r\nlines",
    "2025-08-24 09:00:12 INFO /data OK enqueued",
    "\x1b]0;title\x07\x1b[2J",
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "=cmd|' /C calc'!A0",
    "@SUM(1)",
    "invoice\u202efdp.exe",
    "\u2066\u200b\ufeff\u061c",
    "\ud800",
    "\x85\u2028\u2029",
    "\x00",
    "{{ 7 * 7 }}%s%(x)s{0}",
    "../../etc/passwd",
]
GOOD = {"pressure": 1013.25, "temperature": 25.1}
HEADERS = ("CONTENT_TYPE", "ORIGIN", "AUTHORIZATION", "COOKIE", "ACCEPT_LANGUAGE", "HOST")
# For the page that is an empty field.
WHITE = quote("\x85\u2028\u2029")
# What is markup, unless it is escaped; a page's own scripts and pictures begin otherwise.
MARKUP = re.compile("<script>|<img src=x")
CSV_LINE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}(,-?[0-9.e+-]*)*")


@pytest.fixture
def log_lines(client: FlaskClient, settings: Settings) -> Iterator[list[str]]:
    """Filled when the test ends, after which each line has to be plain."""
    lines: list[str] = []
    yield lines
    logs.flush()
    lines += (settings.log_dir / log_file.FILE_NAME).read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    for line in lines:
        assert line.isprintable(), line
        assert re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8} (INFO|WARNING|ERROR) ", line), line


def posted_bodies(text: str) -> list[dict[str, object]]:
    return [
        {text: 1},
        {**GOOD, text: {"pressure": text}},
        {**GOOD, "device": text},
        {**GOOD, "pressure": text},
        {**GOOD, "pressure": {text: text}},
        {**GOOD, "pressure": [text]},
    ]


@pytest.mark.usefixtures("log_lines")
def test_in_bodies(
    client: FlaskClient, writer: Writer, settings: Settings, database: Database
) -> None:
    for text in HOSTILE:
        for body in posted_bodies(text):
            answer = client.post("/data", data=json.dumps(body), content_type="application/json")
            assert answer.status_code in (200, 400)
            assert answer.text.rstrip("\n").isprintable()
        broken = f'{{"pressure": {text}'.encode("utf-8", "replace")
        assert client.post("/data", data=broken).status_code == 400
    writer.step()
    writer.rejected_queue.finish()
    kept = client.get("/history/rejected/json?limit=1000").get_json()
    assert len(kept) == 5 * len(HOSTILE)

    for path in ("/history", "/history/rejected?limit=1000"):
        page = client.get(path)
        assert page.status_code == 200
        assert not MARKUP.search(page.text)
        assert page.text.replace("\n", "").isprintable()
    for path in ("/history/json", "/history.json", "/history/rejected/json"):
        assert client.get(path).text.replace("\n", "").isprintable()

    append.export(settings, database)
    exported = (settings.csv_dir / "PicodataX.csv").read_text(encoding="utf-8").split("\n")
    assert len(exported) == 2 + 2 * len(HOSTILE)
    for line in exported[1:-1]:
        assert CSV_LINE.fullmatch(line.removesuffix("\r")), line
    for line in client.get("/history.csv").text.split("\r\n")[1:-1]:
        assert CSV_LINE.fullmatch(line.replace(",data,", ",", 1)), line


@pytest.mark.usefixtures("log_lines")
@pytest.mark.parametrize("path", ["/history", "/history/json", "/history.csv", "/history/series"])
def test_in_queries(client: FlaskClient, path: str) -> None:
    sent = [quote(text, errors="surrogatepass") for text in HOSTILE]
    queries = ["&".join(f"{one}=1" for one in sent), "&".join(f"endpoint={one}" for one in sent)]
    queries += [f"from={one}&cursor={one}&co2__gt={one}" for one in sent if one != WHITE]
    for query in queries:
        answer = client.get(f"{path}?{query}")
        assert answer.status_code == 400, (path, query)
        if answer.mimetype == "text/html":
            assert not MARKUP.search(answer.text)
        else:
            assert (answer.mimetype, answer.data.isascii()) == ("application/json", True)


@pytest.mark.usefixtures("log_lines")
def test_in_paths_and_headers(client: FlaskClient) -> None:
    for text in HOSTILE:
        answer = client.get(f"/{quote(text, errors='surrogatepass')}")
        assert answer.status_code in (404, 308)
        assert not MARKUP.search(answer.text)
        # A line's end can't stand in a header: neither gunicorn nor a client lets it through.
        value = re.sub(r"[\r\n]", " ", text).encode("utf-8", "replace").decode("latin-1")
        for name in HEADERS:
            environ = {name if name == "CONTENT_TYPE" else f"HTTP_{name}": value}
            answer = client.post("/data", json=GOOD, environ_overrides=environ)
            assert answer.status_code in (200, 400, 403), name
            # As latin-1 the bytes of a character are letters too, which JSON shows as they are.
            assert answer.text.rstrip("\n").isprintable()


@pytest.mark.parametrize("text", HOSTILE)
def test_the_log_escapes_what_a_screen_would_obey(text: str) -> None:
    assert wording.escape(text).isprintable()


def test_the_log_leaves_what_people_write() -> None:
    for text in ("温度　25.1 °C", "Réaumur", "ﾊﾟｽｶﾙ", "😀", "a\u00a0b"):
        assert wording.escape(text) == text
