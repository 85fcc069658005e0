"""The home at `/`: what its tiles say, and that it answers whatever happens."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, time
from math import inf

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask10x.config.alerts.rules import QuietHours
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.health import copies
from flask10x.readings.parse import Reading
from flask10x.runtime import station_watch
from flask10x.system import clock
from flask10x.web.pages.home import model, view
from tests.conftest import MakeApp
from tests.support.alert_rows import AlertRows
from tests.support.html import MINUTE, NINE, Outline, words
from tests.support.rows import execute, insert_readings
from tests.support.slow_queries import SlowQueries

Store = Callable[..., None]


@pytest.fixture
def at_nine(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (clock, station_watch):
        monkeypatch.setattr(module, "now_ms", lambda: NINE)


@pytest.fixture
def store_readings(database: Database) -> Store:
    def store(*readings: Reading) -> None:
        with database.writer.begin() as connection:
            insert_readings(connection, readings)

    return store


def pico(minutes_ago: float, temperature: float | None) -> Reading:
    return Reading("data", NINE - round(minutes_ago * MINUTE), (1013.0, temperature))


def test_an_empty_house_says_how_to_send_a_first_reading(client: FlaskClient) -> None:
    text = words(client.get("/").text)
    assert "No reading has arrived yet." in text
    assert "http://localhost/data" in text
    api = words(client.get("/api").text)
    assert "/data4" in api and "gas_res" in api


@pytest.mark.usefixtures("at_nine")
def test_a_tile_says_the_value_its_trend_and_the_ends_of_its_line(
    client: FlaskClient, store_readings: Store
) -> None:
    # At 08:55 and 18:00 of the day before, at 04:00, 08:00, 08:55 and 09:00 of that day.
    day = ((1445, 4.5), (900, 9.5), (300, 18.2), (60, 24.1), (5, 24.7), (0, 24.7))
    store_readings(*(pico(*one) for one in day))
    page = client.get("/", headers={"Accept-Language": "en"}).text
    text = words(page)
    assert "Pico" in text and "Sunday, 24 August" in text
    assert "24.7 °C" in text.replace("24.7°C", "24.7 °C")
    assert "+0.6 in 1 h" in text
    # Those of the 24 hours of the line, once, where they are on it.
    assert text.count("9.5 18:00") == text.count("24.7 08:55") == 1
    assert "Low" not in text and "04:00" not in text and "4.5" not in text
    (low_x, _, low), (high_x, _, high) = EXTREME.findall(page)
    assert (low, high) == ("9.5", "24.7")
    assert 35 < float(low_x) < 41 and float(high_x) > 95
    (line,) = (svg for svg in Outline(page).all("svg") if svg.get("role") == "img")
    about = "Temperature of the last 24 hours: low 9.5 °C at 18:00, high 24.7 °C at 08:55"
    assert line.get("aria-label") == about
    assert "1013.0" in text.replace("\u00a0", " ")
    # Built-in stations that have never sent are no stations of this house.
    assert "No data yet" not in text and "Bedroom" not in text
    japanese = words(client.get("/", headers={"Accept-Language": "ja"}).text)
    assert "8月24日（日）" in japanese and "1時間で+0.6" in japanese


EXTREME = re.compile(r'<text class="extreme[^>]* x="([\d.]+)%" y="([\d.]+)%"[^>]*>([\d.]+)')


@pytest.mark.usefixtures("at_nine")
def test_the_greatest_value_stands_above_a_line_that_goes_up_in_a_step(
    client: FlaskClient, store_readings: Store
) -> None:
    # From 04:07 on it is warm: the quarter of an hour in which that began is half as high.
    store_readings(*(pico(n, 22.0 if n < 293 else 18.0) for n in range(0, 540, 2)))
    page = client.get("/").text
    line = page.partition('class="stroke" d="')[2].partition('"')[0]
    heights = [float(y) / 84 * 100 for y in re.findall(r"[ML ][\d.]+ ([\d.]+)", line)]
    (_, lowest_y, lowest), (_, highest_y, highest) = EXTREME.findall(page)
    assert (lowest, highest) == ("18.0", "22.0")
    assert float(highest_y) == pytest.approx(min(heights), abs=0.1)
    assert float(lowest_y) == pytest.approx(max(heights), abs=0.1)
    # Clocks of all pages have two digits.
    assert ">06:00</text>" in page


@pytest.mark.usefixtures("at_nine")
def test_a_day_of_one_value_says_it_once(client: FlaskClient, store_readings: Store) -> None:
    store_readings(*(pico(n, 22.0) for n in range(0, 120, 10)))
    assert [text for *_, text in EXTREME.findall(client.get("/").text)] == ["22.0"]


@pytest.mark.usefixtures("at_nine")
def test_a_silent_station_is_not_well_and_a_missing_value_keeps_its_place(
    client: FlaskClient, store_readings: Store
) -> None:
    store_readings(pico(70, 24.1), pico(30, None))
    text = words(client.get("/").text)
    assert "All is well" not in text
    assert "24.1°C" in text.replace(" °C", "°C") and "missing" in text and "70 min ago" in text


def test_strangers_see_no_reading(
    make_app: MakeApp, database: Database, store_readings: Store
) -> None:
    store_readings(pico(0, 24.7))
    tokens = database.path.with_name("tokens")
    tokens.write_text("* a-token-of-sufficient-length-1234\n")
    tokens.chmod(0o600)
    app = make_app(READ_TOKENS_FILE=tokens)
    answer = app.test_client().get("/")
    assert answer.status_code == 200
    assert "24.7" not in answer.text
    assert "Sign in" in answer.text
    signed_in = app.test_client().get("/", auth=("any", "a-token-of-sufficient-length-1234"))
    assert "24.7" in signed_in.text


def test_it_answers_while_the_database_cannot_be_read(
    client: FlaskClient, database: Database
) -> None:
    execute(database.path, "ALTER TABLE readings RENAME TO away")
    answer = client.get("/")
    assert answer.status_code == 200
    assert "read right now" in answer.text


@pytest.mark.usefixtures("at_nine")
def test_it_answers_while_reading_takes_too_long(
    client: FlaskClient, store_readings: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_readings(*(pico(minutes, 24.1) for minutes in range(300)))
    slow = SlowQueries(monkeypatch)
    answer = client.get("/")
    assert answer.status_code == 200
    assert "The values can't be read right now." in words(answer.text)
    slow.end()
    assert "24.1" in words(client.get("/").text)


@pytest.mark.usefixtures("at_nine")
def test_the_wall_has_no_links_that_lead_away(client: FlaskClient, store_readings: Store) -> None:
    store_readings(pico(0, 24.7))
    assert 'class="kiosk"' in client.get("/?kiosk=1").text
    assert "/history?endpoint=data" not in client.get("/?kiosk=1").text
    assert "/history?endpoint=data" in client.get("/?kiosk=0").text


@pytest.mark.usefixtures("at_nine")
def test_the_dew_point_and_the_discomfort_index_stand_among_the_small_values(
    client: FlaskClient, store_readings: Store
) -> None:
    # 25 °C and 60 %: 16.7 °C by Magnus; 0.81 T + 0.01 H (0.99 T - 14.3) + 46.3 = 72.8.
    store_readings(Reading("data3", NINE, (25.0, 60.0, 1013.0, None)))
    text = words(client.get("/", headers={"Accept-Language": "en"}).text)
    assert "Dew point 16.7" in text and "Discomfort index 72.8" in text


# The sentence before the tiles.

BAD_AIR = Reading("data2", NINE, (1502.0, 18.4, 45.0, 1009.2, 54190.0))


def said(client: FlaskClient, language: str = "en", path: str = "/") -> str:
    page = client.get(path, headers={"Accept-Language": language}).text
    sentence = page.partition('<p class="say">')[2].partition("</p>")[0]
    return re.sub("<[^>]*>", "", sentence).strip()


@pytest.mark.usefixtures("at_nine")
def test_all_is_well_where_nothing_deserves_attention(
    client: FlaskClient, store_readings: Store
) -> None:
    store_readings(pico(0, 22.5))
    assert said(client) == said(client, path="/?kiosk=1") == "All is well."
    assert said(client, "ja") == "すべて正常です。"


@pytest.mark.usefixtures("at_nine")
def test_the_sentence_says_what_deserves_attention_the_worst_first(
    app: Flask, client: FlaskClient, store_readings: Store
) -> None:
    store_readings(pico(30, 22.5), BAD_AIR)
    # Longer than it could be waited for.
    gauges = app.extensions["flask10x"].gauges
    gauges.station("data").awaited_since_ms = clock.monotonic_ms() - 60 * MINUTE
    assert said(client) == ("Bedroom: CO₂ 1502 ppm, air the room now. Pico: no data for 30 min.")
    assert said(client, "ja") == "寝室：CO₂ 1502 ppm、すぐに換気。Pico：30分前から受信なし。"


@pytest.mark.usefixtures("at_nine")
def test_rooms_of_one_band_are_named_together(client: FlaskClient, store_readings: Store) -> None:
    living_room = Reading("data4", NINE, (700.0, 512.0, 1.2, 20.0, 20.0, 35.0))
    bedroom = Reading("data2", NINE, (700.0, 20.0, 38.0, 1009.2, 54190.0))
    store_readings(living_room)
    assert said(client) == "Living room: Humidity (DHT11) 35.0%, dry."
    store_readings(bedroom)
    assert said(client) == "Dry: Bedroom, Living room."
    assert said(client, "ja") == "乾燥：寝室、居間。"


@pytest.mark.usefixtures("at_nine")
def test_several_silent_stations_are_named_together(
    app: Flask, client: FlaskClient, store_readings: Store
) -> None:
    hour = NINE - 60 * MINUTE
    store_readings(
        pico(60, 22.5),
        Reading("data2", hour, (700.0, 20.0, 50.0, 1009.2, 54190.0)),
        Reading("data3", hour, (20.0, 50.0, 1009.2, 54190.0)),
    )
    assert said(client) == "Waiting for data: Pico, Bedroom, Outside."
    for endpoint in ("data", "data2"):
        gauges = app.extensions["flask10x"].gauges
        gauges.station(endpoint).awaited_since_ms = clock.monotonic_ms() - 60 * MINUTE
    assert said(client) == "No data: Pico, Bedroom. Waiting for data: Outside."
    assert said(client, "ja") == "受信なし：Pico、寝室。受信待ち：屋外。"


@pytest.mark.usefixtures("at_nine")
def test_a_house_without_a_backup_is_said_to_be(
    client: FlaskClient, settings: Settings, store_readings: Store
) -> None:
    store_readings(pico(0, 22.5))
    rows = AlertRows(settings.data_dir)
    rows.alert("backup", facts={"newest_at": None, "after_sec": 1})
    assert said(client) == "No backup yet."
    # Before the wall there is no way to make one.
    assert said(client, path="/?kiosk=1") == "All is well."


@pytest.mark.usefixtures("at_nine")
def test_how_old_the_newest_backup_is_comes_from_its_alert(
    client: FlaskClient, settings: Settings, store_readings: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_readings(pico(0, 22.5))
    # The folder may be on a machine that does not answer, and a page would wait for it.
    monkeypatch.setattr(copies, "newest_backup", None)
    newest_at = NINE - 5 * 24 * 60 * MINUTE
    AlertRows(settings.data_dir).alert("backup", facts={"newest_at": newest_at, "after_sec": 1})
    assert said(client) == "The newest backup is 5 days old."


@pytest.mark.usefixtures("at_nine")
@pytest.mark.parametrize(
    ("days", "sentence"),
    [
        (5, "The newest copy of the backups is 5 days old."),
        (None, "The backups are not copied yet."),
    ],
)
def test_copies_that_are_not_made_are_named(
    client: FlaskClient,
    settings: Settings,
    store_readings: Store,
    days: int | None,
    sentence: str,
) -> None:
    store_readings(pico(0, 22.5))
    newest_at = None if days is None else NINE - days * 24 * 60 * MINUTE
    facts = {"newest_at": newest_at, "after_sec": 1, "folder": "/media/stick"}
    AlertRows(settings.data_dir).alert("backup", facts=facts)
    assert said(client) == sentence


@pytest.mark.usefixtures("at_nine")
def test_a_replica_that_is_behind_can_wait(
    client: FlaskClient, settings: Settings, store_readings: Store
) -> None:
    store_readings(pico(0, 22.5))
    AlertRows(settings.data_dir).alert("replica", facts={"newest_at": NINE, "after_sec": 1})
    assert said(client) == "The replica is not up to date."
    assert said(client, path="/?kiosk=1") == "All is well."


@pytest.mark.parametrize(
    ("hours", "local", "is_night"),
    [
        (None, "21:59", False),
        (None, "22:00", True),
        (None, "05:59", True),
        (None, "06:00", False),
        (("23:30", "07:00"), "22:00", False),
        (("23:30", "07:00"), "06:59", True),
        (("01:00", "05:00"), "00:30", False),
        (("01:00", "05:00"), "01:00", True),
    ],
)
def test_the_wall_is_dim_when_people_sleep(
    settings: Settings, hours: tuple[str, str] | None, local: str, *, is_night: bool
) -> None:
    quiet = hours and QuietHours(
        start=time.fromisoformat(hours[0]), end=time.fromisoformat(hours[1])
    )
    settings = replace(settings, alerts=replace(settings.alerts, quiet_hours=quiet))
    at = datetime.fromisoformat(f"2025-08-24T{local}:00+09:00")
    assert model.is_night(settings, round(at.timestamp() * 1000)) is is_night


@pytest.mark.usefixtures("at_nine")
def test_open_pages_share_one_that_has_the_reading_they_heard_of(
    client: FlaskClient, store_readings: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    make = view._made

    def counted() -> str:
        made.append(1)
        return make()

    monkeypatch.setattr(view, "_made", counted)
    # However long a busy machine takes for a page.
    monkeypatch.setattr(view, "SHARED_SEC", inf)

    def ask(heard: int | None, **headers: str) -> str:
        own = {} if heard is None else {view.HEARD: str(heard)}
        return client.get("/", headers=own | headers).text

    store_readings(pico(5, 21.5))
    first = ask(1)
    assert "21.5" in first and ask(1) == first and len(made) == 1
    # Another language, and a page that somebody opens, are made.
    assert ask(1, **{"Accept-Language": "ja"}) != first and len(made) == 2
    ask(None)
    assert len(made) == 3
    store_readings(pico(4, 22.5))
    assert ask(1) == first
    assert "22.5" in ask(2) and len(made) == 4
    monkeypatch.setattr(view, "SHARED_SEC", -1)
    assert "22.5" in ask(2) and len(made) == 5
