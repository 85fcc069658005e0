"""`GET /api/v1/alerts`."""

import re

import pytest
from flask.testing import FlaskClient

from tests.support.alert_rows import HOUR_MS, MINUTE_MS, NINE_MS, AlertRows
from tests.web.pages.alerts.conftest import NOW_MS

PATH = "/api/v1/alerts"


def test_there_is_nothing(client: FlaskClient) -> None:
    answer = client.get(PATH)
    assert answer.status_code == 200
    assert answer.json == {"active": [], "past": [], "next": None, "muted": []}
    assert "Link" not in answer.headers


def test_an_alert_with_its_messages(client: FlaskClient, rows: AlertRows) -> None:
    facts = {"value": 1720.0, "unit": "ppm", "limit": 1500, "above": 1}
    alert = rows.alert(
        "stuffy", "data2.co2", kind="threshold", facts=facts, entered_ms=NINE_MS + MINUTE_MS
    )
    rows.message(alert, "sent", tries=2, trouble="timed out")
    rows.message(alert, "waiting", way="mail", tries=3, due_ms=NOW_MS + MINUTE_MS, trouble="no")
    rows.mute("stuffy", "data2.co2", NOW_MS + HOUR_MS)
    rows.mute("disk", "", NOW_MS - 1)
    found = client.get(PATH).get_json()
    (active,) = found["active"]
    title = active.pop("title")
    assert "CO₂" in title
    assert active == {
        "id": alert,
        "rule": "stuffy",
        "kind": "threshold",
        "subject": "data2.co2",
        "station": "data2",
        "measurement": "co2",
        "since": "2025-08-24T09:00:00.000+09:00",
        "entered": "2025-08-24T09:01:00.000+09:00",
        "ended": None,
        "how_ended": None,
        "facts": facts,
        "end_facts": {},
        "muted_until": "2025-08-24T13:00:00.000+09:00",
        "messages": [
            {
                "id": 1,
                "occasion": "entry",
                "way": "phone",
                "state": "sent",
                "tries": 2,
                "trouble": "timed out",
                "created": "2025-08-24T09:00:00.000+09:00",
                "due": None,
                "settled": "2025-08-24T09:02:00.000+09:00",
            },
            {
                "id": 2,
                "occasion": "entry",
                "way": "mail",
                "state": "waiting",
                "tries": 3,
                "trouble": "no",
                "created": "2025-08-24T09:00:00.000+09:00",
                "due": "2025-08-24T12:01:00.000+09:00",
                "settled": None,
            },
        ],
    }
    assert found["muted"] == [
        {"rule": "stuffy", "subject": "data2.co2", "until": "2025-08-24T13:00:00.000+09:00"}
    ]


def test_pages_of_past_ones_lead_to_the_oldest(client: FlaskClient, rows: AlertRows) -> None:
    active = rows.alert("disk")
    past = [
        rows.alert("silence", "data", NINE_MS + number * MINUTE_MS, NINE_MS + HOUR_MS)
        for number in range(5)
    ]
    seen, url = [], f"{PATH}?limit=2"
    while url:
        answer = client.get(url)
        found = answer.get_json()
        assert [one["id"] for one in found["active"]] == [active]
        seen.append([one["id"] for one in found["past"]])
        url = found["next"]
        linked = re.findall(r'<([^>]+)>; rel="next"', answer.headers.get("Link", ""))
        assert linked == ([url] if url else [])
    newest = past[::-1]
    assert seen == [newest[:2], newest[2:4], newest[4:]]


def test_titles_are_in_the_readers_language(client: FlaskClient, rows: AlertRows) -> None:
    rows.alert("silence", "data2")
    answers = [client.get(PATH, headers={"Accept-Language": one}) for one in ("en", "ja")]
    titles = [answer.get_json()["active"][0]["title"] for answer in answers]
    assert "Bedroom" in titles[0]
    assert "寝室" in titles[1]
    assert {"Accept-Language", "Cookie"} <= set(answers[0].vary)


@pytest.mark.parametrize(
    ("query", "details"),
    [
        ("limit=0", {"limit": "a whole number from 1 to 1000 is needed"}),
        ("limit=1001", {"limit": "a whole number from 1 to 1000 is needed"}),
        ("limit=1&limit=2", {"limit": "given 2 times"}),
        ("before=x", {"before": "not a cursor: take it from a `next` or `prev` link"}),
        ("before=0", {"before": "not a cursor: take it from a `next` or `prev` link"}),
        (f"before={2**63}", {"before": "not a cursor: take it from a `next` or `prev` link"}),
        ("state=active", {"state": "unknown parameter"}),
    ],
)
def test_a_wrong_query(client: FlaskClient, query: str, details: dict[str, str]) -> None:
    answer = client.get(f"{PATH}?{query}")
    assert answer.status_code == 400
    assert answer.get_json() == {"error": "invalid query", "details": details}
    page = client.get(f"/alerts?{query}")
    assert page.status_code == 400
    assert "Please correct this" in page.text


def test_a_file_that_cannot_be_read_is_a_503(client: FlaskClient, rows: AlertRows) -> None:
    rows.path.write_bytes(b"no database at all, but long enough to be looked at" * 20)
    answer = client.get(PATH)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.get_json()["error"] == "alerts unavailable"
    assert "SQLITE_NOTADB" in answer.get_json()["reason"]
