"""Alerts on the cards and in the charts of the history page, and in the navigation."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from flask10x.database.database import Database
from flask10x.web import alerts as marks
from flask10x.web.app import create_app
from tests.conftest import MakeSettings
from tests.support.alert_rows import HOUR_MS, MINUTE_MS, NINE_MS, AlertRows
from tests.web.pages.alerts.conftest import NOW_MS

BROKEN = b"no database at all, but long enough to be looked at" * 20


def cards(client: FlaskClient) -> dict[str, str]:
    """Each station's card."""
    page = client.get("/history").text.partition("</section>")[0]
    found = [part.partition("</article>")[0] for part in page.split("<article")[1:]]
    return {card.partition("<small>")[2].partition("<")[0]: card for card in found}


def spans(client: FlaskClient, query: str = "") -> list[dict[str, object]]:
    answer = client.get(f"/history/series?from=2025-08-24&to=2025-08-25{query}")
    assert answer.status_code == 200
    found: list[dict[str, object]] = answer.get_json()["alerts"]
    return found


@pytest.mark.usefixtures("four")
def test_an_alert_is_on_the_card_of_its_station(client: FlaskClient, rows: AlertRows) -> None:
    assert all("alerted" not in card for card in cards(client).values())
    silent = rows.alert("silence", "data3")
    stuffy = rows.alert("stuffy", "data2.co2", kind="threshold")
    rows.alert("disk")
    rows.alert("silence", "data", NINE_MS, NINE_MS + HOUR_MS)
    rows.mute("stuffy", "data2.co2", NOW_MS + HOUR_MS)
    shown = cards(client)
    assert {name for name, card in shown.items() if "alerted" in card} == {"data2", "data3"}
    assert f'href="/alerts#alert-{silent}"' in shown["data3"]
    assert "Alert since Sun 24 Aug, 09:00:" in shown["data3"]
    assert f'href="/alerts#alert-{stuffy}"' in shown["data2"]
    assert "Alert since Sun 24 Aug, 09:00, muted:" in shown["data2"]


@pytest.mark.usefixtures("four")
def test_a_chart_has_the_alerts_of_what_it_shows(client: FlaskClient, rows: AlertRows) -> None:
    stuffy = rows.alert("stuffy", "data2.co2", NINE_MS, NINE_MS + HOUR_MS, kind="threshold")
    silent = rows.alert("silence", "data3", NINE_MS + MINUTE_MS)
    rows.alert("disk", "", NINE_MS)
    rows.alert("silence", "data2", NINE_MS - 48 * HOUR_MS, NINE_MS - 47 * HOUR_MS)
    found = spans(client)
    assert [one["id"] for one in found] == [stuffy, silent]
    assert "CO₂" in str(found[0].pop("title"))
    assert found[0] == {
        "id": stuffy,
        "endpoint": "data2",
        "measurement": "co2",
        "from_ms": NINE_MS,
        "to_ms": NINE_MS + HOUR_MS,
    }
    assert (found[1]["measurement"], found[1]["to_ms"]) == (None, None)
    assert [one["id"] for one in spans(client, "&measurement=temperature")] == [silent]
    assert [one["id"] for one in spans(client, "&endpoint=data2")] == [stuffy]
    assert spans(client, "&endpoint=data") == []


@pytest.mark.usefixtures("four")
def test_alerts_of_others_take_no_place_in_a_chart(
    client: FlaskClient, rows: AlertRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marks, "MOST_SPANS", 2)
    for minute in range(3):
        begun_ms = NINE_MS + minute * MINUTE_MS
        rows.alert("silence", "data3", begun_ms, begun_ms + 1)
    for minute in range(10, 15):
        rows.alert("disk", "", NINE_MS + minute * MINUTE_MS, NINE_MS + minute * MINUTE_MS + 1)
    assert [one["from_ms"] for one in spans(client)] == [
        NINE_MS + MINUTE_MS,
        NINE_MS + 2 * MINUTE_MS,
    ]


def test_without_values_a_chart_has_no_alerts(client: FlaskClient, rows: AlertRows) -> None:
    rows.alert("silence", "data3")
    assert spans(client) == []
    assert client.get("/history/series").get_json()["alerts"] == []


@pytest.mark.usefixtures("four")
def test_a_broken_state_file_takes_nothing_from_the_history(
    client: FlaskClient, rows: AlertRows
) -> None:
    rows.path.write_bytes(BROKEN)
    assert spans(client) == []
    assert len(cards(client)) == 4


# The navigation


def link(page: str) -> str:
    return page.partition('id="alerts-link"')[2].partition("</a>")[0]


@pytest.mark.parametrize("path", ["/", "/history", "/status", "/history/rejected", "/alerts"])
def test_every_page_says_how_many_are_active(
    client: FlaskClient, rows: AlertRows, path: str
) -> None:
    assert "count" not in link(client.get(path).text)
    rows.alert("disk")
    rows.alert("silence", "data2")
    rows.alert("silence", "data", NINE_MS, NINE_MS + HOUR_MS)
    shown = link(client.get(path).text)
    assert '<strong class="count" aria-hidden="true">2</strong>' in shown
    assert "(2 active)" in shown
    rows.path.write_bytes(BROKEN)
    assert "count" not in link(client.get(path).text)


def test_the_open_page_shows_strangers_no_alert(
    make_settings: MakeSettings, database: Database, rows: AlertRows, tmp_path: Path
) -> None:
    tokens = tmp_path / "read"
    tokens.write_text("* read-0123456789abcdef\n")
    tokens.chmod(0o600)
    rows.alert("disk")
    app = create_app(make_settings(READ_TOKENS_FILE=tokens))
    try:
        client = app.test_client()
        assert "count" not in link(client.get("/").text)
        headers = {"Authorization": "Bearer read-0123456789abcdef"}
        assert "count" in link(client.get("/", headers=headers).text)
    finally:
        app.extensions["flask10x"].close()
