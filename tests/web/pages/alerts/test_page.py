"""The page `/alerts` as the server draws it."""

import html
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from flask10x.config.alerts.rules import Command, Silence, Threshold
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.runtime.store import Store
from flask10x.web.app import create_app
from tests.conftest import MakeSettings
from tests.support.alert_rows import HOUR_MS, MINUTE_MS, NINE_MS, AlertRows
from tests.support.databases import ON_POSTGRES
from tests.support.html import Outline
from tests.support.rows import execute, insert_series
from tests.web.pages.alerts.conftest import NOW_MS

PHONE = Command(name="phone", arguments=("/bin/true",))
STUFFY = Threshold(name="stuffy", station="data2", column="co2", above=1500, clear=1200)


def page(client: FlaskClient, query: str = "", language: str = "en") -> str:
    answer = client.get(f"/alerts{query}", headers={"Accept-Language": language})
    assert answer.status_code == 200
    Outline(answer.text)
    return html.unescape(answer.text)


def section(text: str, name: str) -> str:
    """A part of the page, without its tags."""
    inside = text.partition(f'<section id="{name}"')[2].partition("</section>")[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", inside.partition(">")[2]))


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    """With a channel and a rule of its own."""
    plain = make_settings()
    rules = (Silence(stations=("data", "data2")), STUFFY)
    return replace(plain, alerts=replace(plain.alerts, rules=rules, channels=(PHONE,)))


def test_nothing_is_wrong(client: FlaskClient) -> None:
    shown = page(client)
    assert "All clear." in section(shown, "active")
    assert "None muted." in section(shown, "muted")
    assert "None yet." in section(shown, "past")
    assert section(shown, "watched").count("all clear") == 2
    assert "troubled" not in shown
    assert "Notifications are sent by: phone" in shown
    assert "異常はありません。" in section(page(client, language="ja"), "active")


def test_what_is_wrong_comes_first_with_its_messages(client: FlaskClient, rows: AlertRows) -> None:
    alert = rows.alert("stuffy", "data2.co2", kind="threshold", facts={"value": 1720.0})
    rows.message(alert, "sent")
    rows.message(
        alert, "waiting", way="mail", tries=3, due_ms=NOW_MS + MINUTE_MS, trouble="refused"
    )
    shown = page(client)
    assert shown.index('id="active"') < shown.index('id="muted"') < shown.index('id="past"')
    active = section(shown, "active")
    assert "Sun 24 Aug, 09:02: Alert sent by phone" in active
    failed = "Alert by mail: failed (tries: 3), next try on Sun 24 Aug, 12:01"
    assert f"{failed} (the connection was refused)" in active
    assert "Next: a reminder on Mon 25 Aug, 09:00, if it lasts until then." in active
    assert "measurement=co2&from=2025-08-24+08:00:00" in shown
    assert "active: Bedroom CO₂" in section(shown, "watched")
    japanese = section(page(client, language="ja"), "active")
    assert "8月24日（日）09:02 phone: 発生の通知を送信しました" in japanese
    assert "（接続が拒否されました）" in japanese


@pytest.mark.usefixtures("four")
def test_the_newest_value_is_beside_that_of_the_beginning(
    client: FlaskClient, rows: AlertRows
) -> None:
    facts = {"value": 1720.0, "limit": 1500, "above": 1}
    rows.alert("stuffy", "data2.co2", kind="threshold", facts=facts)
    rows.alert("gas", "data3.gas_resistance", kind="rate")
    rows.alert("silence", "data")
    active = section(page(client), "active")
    assert "Last value: 650 ppm (Sun 24 Aug, 09:01)" in active
    assert active.count("Last value:") == 1
    assert "最新の値: 650 ppm、8月24日（日）09:01" in section(page(client, language="ja"), "active")


def test_without_the_database_the_newest_value_is_left_out(
    client: FlaskClient, rows: AlertRows, database: Database
) -> None:
    rows.alert("stuffy", "data2.co2", kind="threshold", facts={"value": 1720.0})
    execute(database.path, f"DROP TABLE readings{' CASCADE' if ON_POSTGRES else ''}")
    assert "1720" in section(page(client), "active")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"state": "sent", "occasion": "reminder"}, "Sun 24 Aug, 09:02: Reminder sent by phone"),
        ({"state": "waiting"}, "Alert by phone: about to be sent"),
        (
            {"state": "waiting", "due_ms": NOW_MS + HOUR_MS},
            "Alert by phone: not before Sun 24 Aug, 13:00",
        ),
        (
            {"state": "given_up", "tries": 40, "trouble": "gone"},
            "Alert by phone: given up on Sun 24 Aug, 09:02 (tries: 40) (gone)",
        ),
        ({"state": "muted"}, "Alert by phone: not sent, because it was muted"),
        (
            {"state": "over_limit"},
            "Alert by phone: not sent, because the day's limit was reached",
        ),
    ],
    ids=lambda value: value.get("state", "") if isinstance(value, dict) else "",
)
def test_what_became_of_a_message(
    client: FlaskClient, rows: AlertRows, message: dict[str, str], said: str
) -> None:
    rows.message(rows.alert("silence", "data2"), **message)
    assert said in section(page(client), "active")


def test_an_alert_without_a_message(client: FlaskClient, rows: AlertRows) -> None:
    rows.alert("silence", "data2")
    active = section(page(client), "active")
    assert "No notification yet." in active
    assert "Next:" not in active


def test_a_message_without_an_active_alert_is_apart(client: FlaskClient, rows: AlertRows) -> None:
    over = rows.alert("silence", "data2", NINE_MS, NINE_MS + HOUR_MS)
    rows.message(over, "waiting", occasion="recovery", tries=2, trouble="refused")
    rows.message(None, "given_up", occasion="test", tries=9, trouble="<b>")
    apart = section(page(client), "troubled")
    assert "Bedroom: no data Recovery by phone: failed (tries: 2)" in apart
    assert "Test by phone: given up" in apart
    assert "&lt;b&gt;" in client.get("/alerts").text


def test_a_mute_is_at_its_alert_and_in_the_list(client: FlaskClient, rows: AlertRows) -> None:
    rows.alert("silence", "data2")
    rows.mute("silence", "data2", NOW_MS + HOUR_MS)
    rows.mute("silence", "data", NOW_MS + 2 * HOUR_MS)
    rows.mute("stuffy", "data2.co2", NOW_MS)
    shown = page(client)
    assert "Muted until Sun 24 Aug, 13:00" in section(shown, "active")
    assert section(shown, "muted").count("Muted until") == 2
    assert "active: Bedroom, muted: Pico, Bedroom" in section(shown, "watched")


def test_stations_that_pages_show_or_that_have_an_alert_can_be_muted(
    client: FlaskClient, rows: AlertRows, database: Database
) -> None:
    def offered() -> list[str]:
        watched = client.get("/alerts").text.partition('id="watched"')[2].partition("stuffy")[0]
        return re.findall('value="(data[2-4]?)"', watched)

    # The rule is on these two, and a new house offers both.
    assert offered() == ["data", "data2"]
    insert_series(database.path, 1, endpoint="'data3'", received_at="1", temperature="22.5")
    assert offered() == []
    rows.alert("silence", "data2")
    assert offered() == ["data2"]


def test_each_rule_and_each_alert_can_be_muted_by_a_form(
    client: FlaskClient, rows: AlertRows
) -> None:
    alert = rows.alert("silence", "data2")
    tags = Outline(client.get("/alerts").text)
    forms = [one for one in tags.all("form") if one["method"] == "post"]
    assert [one["action"] for one in forms] == ["/alerts/mute"] * 3
    hidden = [one for one in tags.all("input") if one.get("type") == "hidden"]
    assert [(one["name"], one["value"]) for one in hidden] == [
        ("rule", "silence"), ("subject", "data2"),
        ("rule", "silence"), ("rule", "stuffy"), ("subject", "data2.co2"),
    ]  # fmt: skip
    options = [one["value"] for one in tags.all("option")]
    assert options == [
        "1h",
        "morning",
        "1d",
        "1w",
        "data",
        "data2",
        *["1h", "morning", "1d", "1w"] * 2,
    ]
    assert any(one.get("id") == f"alert-{alert}" for one in tags.all("article"))
    assert "until the morning (Mon 25 Aug, 07:00)" in client.get("/alerts").text


def test_past_ones_by_page(client: FlaskClient, rows: AlertRows) -> None:
    ids = [
        rows.alert(
            "silence", "data2", NINE_MS - n * HOUR_MS, NINE_MS - n * HOUR_MS + 90 * MINUTE_MS
        )
        for n in range(25)
    ]
    rows.message(ids[-1], "sent")
    first = page(client)
    assert re.findall(r'<tr role="row" id="alert-(\d+)"', first) == [str(one) for one in ids[:4:-1]]
    assert "Sat 23 Aug, 09:00 – 10:30 90 min phone" in section(first, "past")
    assert "Sat 23 Aug, 23:00 – Sun 24 Aug, 00:30 90 min" in section(first, "past")
    assert f'rel="next" href="/alerts?before={ids[5]}#past"' in first
    assert "latest ones" not in first
    second = page(client, f"?before={ids[5]}")
    assert re.findall(r'id="alert-(\d+)"', second) == [str(one) for one in ids[4::-1]]
    assert 'rel="next"' not in second
    assert '<a href="/alerts#past">Latest</a>' in second


def test_one_that_is_not_watched_any_more(client: FlaskClient, rows: AlertRows) -> None:
    rows.alert("old", "shed.co2", NINE_MS, NINE_MS + HOUR_MS, kind="threshold", ended="unwatched")
    past = section(page(client), "past")
    assert "no longer watched none" in past
    assert "/shed co2" in past


@pytest.mark.parametrize(
    ("kind", "subject", "leads_to", "text"),
    [
        ("silence", "data2", "/history?endpoint=data2&from=2025-08-24+08:00:00", "Chart"),
        (
            "rejected",
            "data2",
            "/history/rejected?endpoint=data2&from=2025-08-24+08:00:00",
            "Rejected readings",
        ),
        ("disk", "", "/status", "Health"),
        ("silence", "shed", "/status", "Health"),
    ],
)
def test_where_to_see_more(
    client: FlaskClient, rows: AlertRows, kind: str, subject: str, leads_to: str, text: str
) -> None:
    rows.alert(kind, subject)
    shown = page(client).partition('id="muted"')[0]
    assert re.search(rf'<a href="{re.escape(leads_to)}">{text}</a>', shown)


@pytest.mark.usefixtures("under_systemd")
def test_without_a_way_it_says_how_to_set_one(
    client: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = replace(store.settings, alerts=replace(store.settings.alerts, channels=()))
    monkeypatch.setattr(store, "settings", plain)
    shown = page(client)
    assert "Notifications are off" in shown
    # As it is typed there: no shell finds the program of a virtual environment by its name.
    program = Path(sys.executable).with_name("flask10x")
    for word in ("init", "check", "test"):
        assert re.search(rf">sudo -u \S+ {program} alerts {word}</pre>", shown)
    assert ">sudo systemctl reload flask10x</pre>" in shown


def test_a_broken_file_is_said_and_the_page_answers(client: FlaskClient, rows: AlertRows) -> None:
    rows.path.write_bytes(b"no database at all, but long enough to be looked at" * 20)
    shown = page(client)
    assert "The alerts cannot be read at the moment:" in shown
    assert "SQLITE_NOTADB" in shown
    assert "<form" not in shown
    assert "above 1500 ppm" in section(shown, "watched")


def test_nothing_of_a_row_is_markup(client: FlaskClient, rows: AlertRows) -> None:
    odd = "<script>\u202e"
    alert = rows.alert("silence", odd, facts={"values": odd})
    rows.message(alert, "given_up", way=odd, trouble=odd)
    rows.mute(odd, odd, NOW_MS + HOUR_MS)
    text = client.get("/alerts").text
    assert "<script>" not in text
    assert "\u202e" not in re.sub(r'value="[^"]*"', "", text)


def test_it_has_no_script_of_its_own_and_nothing_of_another_host(client: FlaskClient) -> None:
    text = client.get("/alerts").text
    of_every_page = '<script type="module" src="/static/site.js">'
    assert re.findall("<script[^>]*>", text) == [of_every_page]
    assert "http://" not in text


# While the database is missing


@pytest.fixture
def waiting(make_settings: MakeSettings) -> Iterator[FlaskClient]:
    """A client of an application without a database."""
    app = create_app(make_settings(), missing="there was a database")
    yield app.test_client()
    app.extensions["flask10x"].close()


def test_without_a_database_the_alerts_are_shown_and_nothing_is_made(
    waiting: FlaskClient, tmp_path: Path
) -> None:
    rows = AlertRows(tmp_path)
    assert "All clear." in page(waiting)
    assert not rows.path.exists()
    form = {"rule": "silence", "subject": "data2", "for": "1h"}
    # On PostgreSQL the folder of the state of alerts is not what is missing.
    assert waiting.post("/alerts/mute", data=form).status_code == (303 if ON_POSTGRES else 503)
    assert rows.path.exists() == ON_POSTGRES
    rows.alert("database", facts={"reason": "there was a database"})
    assert "there was a database" in section(page(waiting), "active")
    assert len(waiting.get("/api/v1/alerts").get_json()["active"]) == 1
    missing = waiting.get("/history").text
    assert "(1 active)" in missing
