"""`/history/rejected` as a page and as JSON."""

import html
import re
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.recording import rejected
from flask10x.recording.rejected import RejectedReading
from flask10x.runtime.store import Store
from flask10x.web.shell import shell
from tests.support.rows import execute

AT = 1_756_000_000_000  # 2025-08-24 10:46:40 in Tokyo
SCRIPT = "<script>alert(1)</script>"


def keep(database: Database, settings: Settings, *wanted: RejectedReading) -> None:
    with database.commit() as connection:
        rejected.keep(connection, wanted, settings)


def refused(number: int, body: bytes = b"{}", endpoint: str = "data") -> RejectedReading:
    return RejectedReading(
        endpoint, AT + 1000 * number, "", body, {"pressure": "required field missing"}
    )


def test_json(client: FlaskClient, database: Database, settings: Settings) -> None:
    odd = RejectedReading(
        "data4", AT, "text/html", f'"{SCRIPT}\x1b"'.encode() + b"\xff", {}, SCRIPT
    )
    keep(database, settings, odd, refused(1, b"x" * 1001))
    answer = client.get("/history/rejected/json")
    assert answer.status_code == 200
    assert answer.content_type == "application/json"
    assert answer.json == [
        {
            "id": 2,
            "endpoint": "data",
            "timestamp": "2025-08-24 10:46:41",
            "reasons": {"pressure": "required field missing"},
            "hint": "",
            "content_type": "",
            "body": "x" * 1000,
            "body_bytes": 1001,
            "measured_at": None,
            "reading_id": None,
        },
        {
            "id": 1,
            "endpoint": "data4",
            "timestamp": "2025-08-24 10:46:40",
            "reasons": {},
            "hint": SCRIPT,
            "content_type": "text/html",
            "body": f'"{SCRIPT}\x1b"\\xff',
            "body_bytes": 29,
            "measured_at": None,
            "reading_id": None,
        },
    ]


def test_a_late_one_shows_both_of_its_times(
    client: FlaskClient, database: Database, settings: Settings
) -> None:
    keep(database, settings, replace(refused(1, b"{}"), measured_at=AT - 3_600_000))
    (shown,) = client.get("/history/rejected/json").json or []
    assert (shown["timestamp"], shown["measured_at"]) == (
        "2025-08-24 10:46:41",
        "2025-08-24 09:46:40",
    )
    page = client.get("/history/rejected", headers={"Accept-Language": "ja"}).text
    assert "測定 2025年8月24日（日）09:46:40" in page


def test_an_empty_body_and_one_that_was_too_large(client: FlaskClient, store: Store) -> None:
    assert client.post("/data", data=b"", content_type="application/json").status_code == 400
    assert (
        client.post("/data", data=b"x" * 65537, content_type="application/json").status_code == 413
    )
    store.writer.rejected_queue.finish()
    answer = client.get("/history/rejected/json")
    assert [(kept["body"], kept["body_bytes"]) for kept in answer.json or []] == [("", 0), ("", 0)]
    assert client.get("/history/rejected").status_code == 200


def test_a_body_that_is_no_json_has_one_reason_for_people(
    client: FlaskClient, store: Store
) -> None:
    """The answer names each field, as senders know it (contract, section 2)."""
    answer = client.post("/data2", data=b"co2: 650", content_type="application/json")
    assert answer.json is not None
    assert set(answer.json["details"].values()) == {"required field missing"}
    store.writer.rejected_queue.finish()
    for language, missing, hint in (
        ("en", "required field missing", "invalid JSON: Expecting value at line 1 column 1"),
        ("ja", "値がありません", "JSONとして読めません"),
    ):
        page = html.unescape(
            client.get("/history/rejected", headers={"Accept-Language": language}).text
        )
        assert missing not in page
        assert hint in page
    (kept,) = client.get("/history/rejected/json").json or []
    assert len(kept["reasons"]) == 5


@pytest.mark.parametrize(
    ("body", "english", "japanese"),
    [
        (b'"1.2.3"', "not a number: '1.2.3'", "数値として読めません: '1.2.3'"),
        (b"true", "true or false instead of a number", "数値ではなく true か false です"),
        (b"[1]", "a list instead of a number", "数値ではなくリストです"),
        (b"{}", "an object instead of a number", "数値ではなくオブジェクトです"),
    ],
)
def test_reasons_are_in_words_of_people(
    client: FlaskClient, store: Store, body: bytes, english: str, japanese: str
) -> None:
    body = b'{"pressure": 1000, "temperature": ' + body + b"}"
    assert client.post("/data", data=body, content_type="application/json").status_code == 400
    store.writer.rejected_queue.finish()
    for language, text in (("en", english), ("ja", japanese)):
        page = client.get("/history/rejected", headers={"Accept-Language": language}).text
        assert text in html.unescape(page)


def test_nothing_was_refused(client: FlaskClient) -> None:
    answer = client.get("/history/rejected/json")
    assert (answer.json, answer.headers.get("Link")) == ([], None)
    page = client.get("/history/rejected")
    assert page.status_code == 200
    assert "No rejected readings: all stations, newest first." in page.text


def test_following_next_and_prev(
    client: FlaskClient, database: Database, settings: Settings
) -> None:
    keep(database, settings, *(refused(n) for n in range(5)))
    seen, url, back = [], "/history/rejected/json?endpoint=data&limit=2", ""
    while url:
        answer = client.get(url)
        assert answer.json is not None
        seen.append([row["id"] for row in answer.json])
        links = {rel: at for at, rel in LINK.findall(answer.headers.get("Link", ""))}
        url, back = links.get("next", ""), links.get("prev", "")
    assert seen == [[5, 4], [3, 2], [1]]
    answer = client.get(back)
    assert answer.json is not None
    assert [row["id"] for row in answer.json] == [3, 2]


LINK = re.compile(r'<([^>]+)>; rel="(\w+)"')


@pytest.mark.parametrize(
    ("query", "details"),
    [
        ("endpoint=data5", {"endpoint": "unknown station (did you mean data? known: data, data2"}),
        ("co2__gte=1", {"co2__gte": "rejected readings have no measurements to filter by"}),
        ("measurement=co2", {"measurement": "rejected readings have no measurements to filter by"}),
        ("incomplete=1", {"incomplete": "rejected readings have no measurements to filter by"}),
        ("order=asc", {"order": "there is one order only, the newest first"}),
        ("limit=0", {"limit": "a whole number from 1 to 1000 is needed"}),
        ("cursor=5", {"cursor": "not a cursor: take it from a `next` or `prev` link"}),
        ("state=waiting", {"state": "unknown parameter"}),
    ],
)
def test_a_bad_query_is_refused(client: FlaskClient, query: str, details: dict[str, str]) -> None:
    answer = client.get(f"/history/rejected/json?{query}")
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["error"] == "invalid query"
    assert answer.json["details"].keys() == details.keys()
    for name, reason in details.items():
        assert answer.json["details"][name].startswith(reason)
    page = client.get(f"/history/rejected?{query}")
    assert page.status_code == 400
    assert "Please correct this" in page.text


def test_the_page_shows_them_and_nothing_is_markup(
    client: FlaskClient, database: Database, settings: Settings
) -> None:
    odd = RejectedReading("data4", AT, SCRIPT, f"{SCRIPT}\x1b\n".encode(), {SCRIPT: SCRIPT}, SCRIPT)
    keep(database, settings, odd, refused(1, b"x" * 1234))
    execute(database.path, "UPDATE rejected SET reading_id = 77 WHERE id = 2")
    page = client.get("/history/rejected")
    assert page.status_code == 200
    assert page.content_type == "text/html; charset=utf-8"
    assert "<script>" not in page.text
    assert r"&lt;script&gt;alert(1)&lt;/script&gt;\x1b\n" in page.text
    assert "Sun 24 Aug 2025, 10:46:41" in page.text
    assert "234 bytes more" in page.text
    assert ">77<" in page.text
    assert "Pico <small>data</small>" in page.text
    assert "Living room <small>data4</small>" in page.text
    assert 'Pressure <code>pressure</code>: <span lang="en">required' in page.text
    assert "2 rejected readings on this page: all stations, newest first" in page.text
    assert f"{shell(settings).flask10x('rejected', 'replay')}</" in html.unescape(page.text)


def test_the_page_keeps_its_filters_in_the_links(
    client: FlaskClient, database: Database, settings: Settings
) -> None:
    keep(database, settings, *(refused(n) for n in range(5)))
    page = client.get("/history/rejected?endpoint=data&from=&limit=2")
    older = "/history/rejected?endpoint=data&amp;order=desc&amp;limit=2&amp;cursor=before:"
    assert f'rel="next" href="{older}' in page.text
    assert 'value="data" checked' in page.text
    assert 'rel="prev"' not in page.text


@pytest.mark.parametrize("path", ["/history/rejected", "/history/rejected/json"])
def test_a_database_that_cannot_be_read(client: FlaskClient, database: Database, path: str) -> None:
    execute(database.path, "DROP TABLE rejected")
    answer = client.get(path)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert ("text/html" in answer.content_type) == (path == "/history/rejected")
