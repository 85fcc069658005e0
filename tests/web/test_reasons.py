"""Every reason that a query string or a reading can be refused for is put into Japanese."""

import json
import re

import pytest
from flask.testing import FlaskClient

from flask10x.database.error_codes import QueryTooLong
from flask10x.errors import QueryError
from flask10x.readings.reasons import Reason, in_language
from flask10x.recording import rejected
from flask10x.recording.rejected import RejectedReading
from flask10x.runtime.store import Store
from flask10x.translation import translation

JAPANESE = re.compile(r"[ぁ-んァ-ヶ一-龠]")
WRONG = [
    *("limt=1", "endpoint=data5", "measurement=co3", "limit=5&limit=6", "limit=0", "order=up"),
    *("from=now&to=-1h", "co2__gt=1e3", "co2__isnull=maybe", "cursor=x", "since=5", "bom=1"),
    *("from=yesterday", "from=-30000d", "from=1969-01-01", "from=2025-02-30", "incomplete=0"),
    *("from=2025-08-24T09:00%2B99:00", "from=2025-08-24T09:00+09:00", "&".join(["a=1"] * 151)),
]


def details_of(client: FlaskClient, path: str) -> dict[str, str]:
    """The details of the QueryError that the view raises, with their codes."""
    with client.application.test_request_context(path), pytest.raises(QueryError) as caught:
        client.application.dispatch_request()
    return caught.value.details


@pytest.mark.parametrize("query", WRONG)
def test_a_reason_is_japanese_on_the_page_and_english_in_json(
    client: FlaskClient, query: str
) -> None:
    page = client.get(f"/history?{query}", headers={"Accept-Language": "ja"})
    assert page.status_code == 400
    wrong = page.text.split('role="alert"')[1].split("</div>")[0]
    for reason in re.findall(r"<li>.*?: (.*?)</li>", wrong):
        assert JAPANESE.search(reason), reason
    answer = client.get(f"/history/rejected/json?{query}", headers={"Accept-Language": "ja"})
    assert not JAPANESE.search(str(answer.get_json()["details"]))


@pytest.mark.parametrize(
    "query", ["co2__gt=1", "order=asc", "since=x", "since=1&order=asc", "from="]
)
def test_reasons_of_other_routes_are_translated_too(client: FlaskClient, query: str) -> None:
    path = "/history/json" if "since" in query or query == "from=" else "/history/rejected/json"
    answer = client.get(f"{path}?{query}")
    assert answer.status_code == 400
    details = details_of(client, f"{path}?{query}")
    assert answer.get_json()["details"] == details
    for reason in details.values():
        assert JAPANESE.search(in_language(reason, translation("ja"))), reason


def test_a_suggestion_stays_and_the_unknown_is_shown_as_it_is() -> None:
    near = Reason("unknown_parameter_near", near="limit")
    assert near == "unknown parameter (did you mean limit?)"
    assert (
        in_language(near, translation("ja")) == "そのような項目はありません（limit の間違いでは？）"
    )
    (slow,) = QueryTooLong(2.0).details.values()
    assert (
        in_language(slow, translation("ja"))
        == "検索に2秒以上かかりました。期間やセンサーを絞ってください"
    )
    assert in_language("something new", translation("ja")) == "something new"
    assert in_language("1 or 0 is needed", translation("en")) == "1 or 0 is needed"


# What `/data2` refuses, in every way that it can.
BODIES = [
    *(b"{}", b"", b"[]", b"null", b"7", b'"x"', b"true", b"{" * 9 + b"}", b"\xff", b"[" * 60_000),
    *(b'{"co2": nan}', b'{"co2": 5', b'{"co2": "5\xc2\xb0', b'{"co2": "5\xc2', b"x" * 65_537),
    json.dumps({"co2": -1, "temperature": "x", "humidity": 101, "gas_res": [1]}).encode(),
    json.dumps(
        {"co2": "12a34", "temperature": True, "pressure": "1 foo", "gas_res": 1e400}
    ).encode(),
    json.dumps(
        {"co2": "1" * 101, "humidity": "5 (known: x)", "gas_res": "9" * 99 + "e999"}
    ).encode(),
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body[:20])
def test_why_a_reading_was_refused_is_japanese_on_the_page_and_english_in_json(
    client: FlaskClient, store: Store, body: bytes
) -> None:
    answer = client.post("/data2", data=body, content_type="application/json")
    assert answer.status_code in (400, 413)
    store.writer.rejected_queue.finish()
    page = client.get("/history/rejected", headers={"Accept-Language": "ja"}).text
    assert 'lang="en">' not in page.split("<tbody")[1].split("</tbody>")[0]
    (kept,) = client.get("/history/rejected/json").get_json()
    for reason in (*kept["reasons"].values(), kept["hint"]):
        assert not JAPANESE.search(reason)


def test_other_reasons_of_readings(client: FlaskClient, store: Store) -> None:
    client.post("/data4", json={"mh_z19": 5, "mq_2": {"analog_value": "5 V"}})
    client.post("/data", data="{}", content_type="text/plain")
    store.writer.rejected_queue.finish()
    page = client.get("/history/rejected", headers={"Accept-Language": "ja"}).text
    assert "オブジェクトではありません" in page and "単位のない値です" in page
    assert "Content-Type が text/plain です" in page


def test_what_sqlite_says_stays_and_is_marked_as_english(client: FlaskClient, store: Store) -> None:
    refusal = RejectedReading("data", 1, "", b"{}", {"database": "CHECK constraint failed"})
    with store.database.commit() as connection:
        rejected.keep(connection, [refusal], store.settings)
    page = client.get("/history/rejected", headers={"Accept-Language": "ja"}).text
    assert '<span lang="en">CHECK constraint failed</span>' in page
