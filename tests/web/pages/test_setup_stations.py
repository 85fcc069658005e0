"""Stations that are there: named, put in order and arranged by forms; and forms made to do harm."""

import html
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask10x.config import station_file
from flask10x.config.settings import Settings
from flask10x.config.station_keys import ICONS as NAMES_OF_ICONS
from flask10x.config.toml import digest_of
from flask10x.database.database import Database
from flask10x.database.paths import database_path
from flask10x.database.station_columns import add_missing
from flask10x.errors import SettingsError
from flask10x.export import append
from flask10x.readings.stations import BUILT_IN, Stations
from flask10x.runtime.administrators import Administrators
from flask10x.web.icons import ICONS, drawing, named_icon
from flask10x.web.pages.setup.station import File, edit_of, sent
from tests.conftest import MakeApp
from tests.contract.test_hostile import HOSTILE, MARKUP
from tests.support.html import NINE, Outline, words
from tests.support.rows import insert_selected
from tests.web.pages.test_administrators import become, stations_file

FREEZER = """# Ours.
[stations.freezer]
label = "Freezer" # in the cellar
interval_sec = 300

[stations.freezer.measurements.temperature]
unit = "°C"
# -30 when it is new
minimum = -40

[stations.freezer.measurements.battery]
unit = "V"
quantity = "voltage"
"""


@pytest.fixture
def of(settings: Settings) -> Administrators:
    return Administrators(settings)


@pytest.fixture
def path(settings: Settings) -> Path:
    """The file of stations, with a freezer."""
    path = stations_file(settings)
    path.write_text(FREEZER)
    return path


@pytest.fixture
def token(client: FlaskClient, of: Administrators) -> str:
    return become(client, of)


def stations(path: Path) -> Stations:
    return station_file.parse(path.read_bytes(), path)


def app_with(path: Path, make_app: MakeApp) -> Flask:
    """An application as it is after a reload."""
    app = make_app(STATIONS=str(path))
    store = app.extensions["flask10x"]
    add_missing(store.database, store.settings.stations)
    return app


def order(path: Path) -> list[str]:
    return [station.endpoint for station in stations(path).ordered]


def form_of(client: FlaskClient, name: str) -> dict[str, str]:
    """What a browser sends of the form as it is."""
    page = client.get(f"/setup/stations/{name}").text
    (form,) = re.findall(r'<form method="post" class="arranged">.*?</form>', page, re.DOTALL)
    fields: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        found = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if found.get("type") not in ("checkbox", "radio") or " checked" in tag:
            fields[found["name"]] = html.unescape(found["value"])
    for name_of, options in re.findall(
        r'<select name="([^"]+)".*?>(.*?)</select>', form, re.DOTALL
    ):
        chosen = re.findall(r'<option value="([^"]*)" selected', options)
        first = re.findall(r'<option value="([^"]*)"', options)
        fields[name_of] = (chosen or first)[0]
    return fields


def save(client: FlaskClient, name: str, **changed: str) -> int:
    form = form_of(client, name) | {key.replace("__", "."): text for key, text in changed.items()}
    return client.post(f"/setup/stations/{name}", data=form).status_code


def test_a_limit_stays_where_a_rule_of_alerts_needs_it(
    client: FlaskClient, path: Path, token: str, settings: Settings
) -> None:
    assert token
    (settings.data_dir / "alerts.toml").write_text(
        '[rules.warm]\nkind = "threshold"\nstation = "freezer"\nmeasurement = "temperature"\n'
        "above = -15\nclear = -16\n"
    )
    form = form_of(client, "freezer") | {"temperature.maximum": "-20"}
    answer = client.post("/setup/stations/freezer", data=form)
    assert answer.status_code == 400 and "[rules.warm] above" in answer.text
    assert path.read_text() == FREEZER


@pytest.mark.usefixtures("four", "path")
def test_the_list_has_all_stations_in_both_languages(client: FlaskClient, token: str) -> None:
    page = client.get("/setup/stations").text
    Outline(page)
    shown = words(page)
    assert "Bedroom 寝室 /data2" in shown and "Temperature, CO₂" in shown
    assert "Freezer /freezer" in shown and "no data yet" in shown
    japanese = client.get("/setup/stations", headers={"Accept-Language": "ja"}).text
    assert "寝室 Bedroom" in words(japanese)
    assert token in page


def test_built_in_stations_that_have_not_sent_are_folded(client: FlaskClient, path: Path) -> None:
    page = client.get("/setup/stations").text
    listed, _, folded = page.partition('<details class="folded" id="built-in">')
    assert "4 built-in stations that have not sent yet" in words(folded)
    assert 'id="station-freezer"' in listed and 'id="station-data"' not in listed
    assert 'href="/setup/stations/data3"' in folded
    # A place among the others makes it no station of the house, a name does.
    path.write_text(f'{FREEZER}\n[stations.data3]\norder = 1\n[stations.data4]\nlabel = "Study"\n')
    page = client.get("/setup/stations").text
    listed, _, folded = page.partition('<details class="folded" id="built-in">')
    assert "3 built-in stations that have not sent yet" in words(folded)
    assert 'id="station-data4"' in listed and 'href="/setup/stations/data3"' in folded


def test_others_see_the_list_and_the_form_but_change_nothing(
    app: Flask, client: FlaskClient, path: Path, token: str
) -> None:
    stranger = app.test_client()
    page = stranger.get("/setup/stations").text
    assert "admin-link" in page and 'name="up"' not in page and 'class="handle"' not in page
    form = stranger.get("/setup/stations/freezer").text
    assert "admin-link" in form and '<fieldset class="all" disabled>' in form
    assert 'name="label" value="Freezer"' in form
    fields = form_of(client, "freezer")
    for url in ("/setup/stations", "/setup/stations/freezer"):
        data = {"token": token, "order": "freezer", **fields, "label": "x"}
        assert stranger.post(url, data=data).status_code == 403
        assert client.post(url, data=data | {"token": "0" * 64}).status_code == 403
        other = {"Origin": "http://other.example"}
        assert client.post(url, data=data, headers=other).status_code == 403
    assert path.read_text() == FREEZER


@pytest.mark.usefixtures("four")
def test_buttons_move_stations_and_pages_follow(
    client: FlaskClient,
    path: Path,
    token: str,
    of: Administrators,
    make_app: MakeApp,
    settings: Settings,
) -> None:
    def press(button: str, name: str) -> None:
        listed = re.findall(r'name="order" value="([^"]+)"', client.get("/setup/stations").text)
        data = {"token": token, "order": listed, button: name}
        answer = client.post("/setup/stations", data=data)
        assert answer.status_code == 303 and answer.location.endswith(f"#station-{name}")

    press("up", "freezer")
    press("up", "freezer")
    assert order(path) == ["data", "data2", "freezer", "data3", "data4"]
    press("down", "data")
    press("down", "data4")
    assert order(path) == ["data2", "data", "freezer", "data3", "data4"]
    text = path.read_text()
    assert text.startswith('# Ours.\n[stations.freezer]\nlabel = "Freezer" # in the cellar\n')
    assert "# -30 when it is new\n" in text
    # The colours of charts and the columns of downloads go by the registry, which is as it was.
    assert [s.endpoint for s in stations(path).all] == [
        "data",
        "data2",
        "data3",
        "data4",
        "freezer",
    ]
    other = app_with(path, make_app).test_client()
    # All are silent alike, as the others are.
    columns = "endpoint, received_at, temperature"
    values = f"VALUES ('freezer', {NINE}, -18)"
    insert_selected(database_path(settings), (columns, values))
    health = other.get("/status").text
    places = [health.index(f' id="{name}"') for name in order(path)]
    assert places == sorted(places)
    boxes = re.findall(r'name="endpoint" value="(\w+)"', other.get("/history").text)
    assert boxes[:5] == ["data", "data2", "data3", "data4", "freezer"]
    assert len(of.changes) == 3
    assert "another order" in words(client.get("/setup").text)
    number = of.changes[0].number if of.changes[0].number > of.changes[-1].number else None
    last = number or of.changes[-1].number
    assert client.post("/setup/undo", data={"token": token, "number": last}).status_code == 303
    assert order(path) == ["data", "data2", "freezer", "data3", "data4"]


def test_an_order_that_was_dragged_is_written_at_once(
    client: FlaskClient, token: str, settings: Settings
) -> None:
    names = ["data4", "data3", "data", "data2"]
    # There is no file yet: it begins as `flask10x stations init` begins it.
    client.post("/setup/stations", data={"token": token, "order": names})
    path = stations_file(settings)
    assert order(path) == names and path.read_text().startswith("#:schema ")
    assert stations(path).columns == BUILT_IN.columns
    before = path.read_bytes()
    client.post("/setup/stations", data={"token": token, "order": names})
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "names", [[], ["nothing"], ["data2", "data2"], ["data2", "../x", "]\n[stations.x]"]]
)
def test_an_order_of_other_names_does_no_harm(
    client: FlaskClient, path: Path, token: str, names: list[str]
) -> None:
    data = {"token": token, "order": names, "up": "nothing", "down": "x\r\nSet-Cookie: a=b"}
    answer = client.post("/setup/stations", data=data)
    assert answer.status_code == 303 and "Set-Cookie" not in answer.headers
    assert set(order(path)) == {"data", "data2", "data3", "data4", "freezer"}


def test_a_form_that_changes_nothing_writes_nothing(
    client: FlaskClient, path: Path, of: Administrators, token: str
) -> None:
    assert token
    for name in ("data", "data2", "data3", "data4", "freezer"):
        assert save(client, name) == 303
    assert path.read_text() == FREEZER and of.changes == []


def test_a_station_is_named_and_arranged(
    client: FlaskClient, path: Path, token: str, of: Administrators
) -> None:
    assert token
    status = save(
        client,
        "freezer",
        label="Deep freezer",
        label_ja="冷凍庫",
        icon="fridge",
        tile_main="battery",
        tile_second="temperature",
        chart="own",
        interval_sec="６００",
        altitude_m="−3.5",
        outside="on",
        battery__label="Cell",
        battery__label_ja="電池",
        battery__hidden="",
        temperature__minimum="-45.5",
        temperature__maximum="30",
    )
    assert status == 303
    one = stations(path).by_endpoint["freezer"]
    assert (one.label, one.label_ja, one.icon, one.chart) == (
        *("Deep freezer", "冷凍庫", "fridge", "own"),
    )
    assert (one.tile_main, one.tile_second) == ("battery", "temperature")
    assert (one.interval_sec, one.altitude_m, one.outside) == (600, -3.5, True)
    temperature, battery = one.measurements
    assert (temperature.minimum, temperature.maximum) == (-45.5, 30)
    assert (battery.label, battery.label_ja) == ("Cell", "電池")
    text = path.read_text()
    assert (
        "# in the cellar" in text and "# -30 when it is new" in text and text.startswith("# Ours")
    )
    assert len(of.changes) == 1
    # And back: what is empty goes.
    cleared = dict.fromkeys(("label_ja", "icon", "tile_main", "tile_second", "chart"), "")
    cleared |= dict.fromkeys(("interval_sec", "altitude_m", "temperature__maximum"), "")
    form = form_of(client, "freezer")
    del form["outside"]
    form |= {name.replace("__", "."): text for name, text in cleared.items()}
    assert client.post("/setup/stations/freezer", data=form).status_code == 303
    table = tomllib.loads(path.read_text())["stations"]["freezer"]
    assert table.keys() == {"label", "measurements"}
    assert table["measurements"]["temperature"] == {"unit": "°C", "minimum": -45.5}


def test_a_built_in_station_changes_only_what_was_changed(
    client: FlaskClient, settings: Settings, token: str
) -> None:
    assert token
    path = stations_file(settings)
    path.write_text("")
    assert save(client, "data2", label_ja="主寝室") == 303
    assert path.read_text().strip() == '[stations.data2]\nlabel_ja = "主寝室"'
    # In English it is called as before; and after a new English name in Japanese.
    assert "Bedroom 主寝室" in words(client.get("/setup/stations").text)
    assert save(client, "data4", label="Parlour") == 303
    assert stations(path).by_endpoint["data4"].label_ja == "居間"
    form = form_of(client, "data3")
    del form["outside"]
    assert client.post("/setup/stations/data3", data=form).status_code == 303
    assert stations(path).by_endpoint["data3"].outside is False
    assert save(client, "data3", outside="on") == 303
    assert tomllib.loads(path.read_text())["stations"]["data3"] == {}


def test_thresholds(client: FlaskClient, settings: Settings, token: str) -> None:
    assert token
    path = stations_file(settings)
    path.write_text("# Ours.\n")
    form = form_of(client, "data2")
    assert (form["co2.bands.0.limit"], form["co2.bands.0.label_ja"]) == ("1000", "換気の目安")
    new = {"side": "below", "limit": "400.5", "level": "warning", "label": "Sensor?"}
    changed = {f"co2__bands__2__{key}": text for key, text in new.items()}
    assert save(client, "data2", co2__bands__0__limit="800", **changed) == 303
    co2 = stations(path).by_endpoint["data2"].measurements[0]
    assert co2.bands
    assert [(b.above, b.below, b.level, b.label, b.label_ja) for b in co2.bands] == [
        (800, None, "notice", "Air the room", "換気の目安"),
        (1500, None, "warning", "Air the room now", "すぐに換気"),
        (None, 400.5, "warning", "Sensor?", ""),
    ]
    away = {f"co2__bands__{n}__{key}": "" for n in (0, 1) for key in ("limit", "label")}
    assert save(client, "data2", **away) == 303
    assert stations(path).by_endpoint["data2"].measurements[0].bands == co2.bands[2:]
    last = {f"co2__bands__0__{key}": "" for key in ("limit", "label")}
    assert save(client, "data2", **last) == 303
    assert stations(path).by_endpoint["data2"].measurements[0].bands == ()
    assert save(client, "data2", co2__usual="on") == 303
    assert stations(path).by_endpoint["data2"].measurements[0].bands is None
    assert path.read_text().startswith("# Ours.\n")


@pytest.mark.parametrize(
    ("field", "text", "needed"),
    [
        ("label", "", "a text of 1 to 64 characters is needed"),
        ("label_ja", "x" * 65, "a text of 1 to 64 characters is needed"),
        ("interval_sec", "soon", "a whole number from 1 to 1000000 is needed"),
        ("interval_sec", "1.5", "a whole number from 1 to 1000000 is needed"),
        ("altitude_m", "9000", "metres above sea level from -430 to 800 are needed"),
        ("icon", "fridg", "(did you mean fridge?)"),
        ("chart", "owm", "(did you mean own?)"),
        ("tile_main", "temperatur", "(did you mean temperature?)"),
        ("temperature.minimum", "cold", "a number is needed"),
        ("temperature.maximum", "-41", "not below maximum -41"),
        ("temperature.bands.0.limit", "hot", "a number is needed"),
        ("temperature.bands.2.label", "Hot", "a number is needed"),
        ("temperature.bands.0.level", "", ""),
    ],
)
def test_each_mistake_is_said_at_its_field_and_what_was_typed_stays(
    client: FlaskClient, path: Path, token: str, field: str, text: str, needed: str
) -> None:
    assert token
    form = form_of(client, "freezer") | {"label_ja": "typed", field: text}
    answer = client.post("/setup/stations/freezer", data=form)
    if not needed:
        assert answer.status_code == 303
        return
    page = answer.text
    assert answer.status_code == 400 and path.read_text() == FREEZER
    wrong = {"temperature.bands.2.label": "temperature.bands.2.limit"}.get(field, field)
    wrong = "temperature.minimum" if needed.startswith("not below") else wrong
    (error,) = re.findall(rf'id="error-{re.escape(wrong)}">([^<]*)<', page)
    assert needed in html.unescape(error)
    assert f'href="#error-{wrong}"' in page
    assert wrong == "icon" or f'aria-describedby="error-{wrong}' in page
    if field != "label_ja":
        assert 'name="label_ja" value="typed"' in page
    if text and field not in ("icon", "chart", "tile_main"):
        assert f'value="{text}"' in page
    Outline(page)


def test_a_mistake_is_said_in_japanese(client: FlaskClient, path: Path, token: str) -> None:
    assert token and path.exists()
    client.get("/?lang=ja")
    form = form_of(client, "freezer") | {"interval_sec": "たまに"}
    page = client.post("/setup/stations/freezer", data=form).text
    (error,) = re.findall(r'id="error-interval_sec">([^<]*)<', page)
    assert "整数" in error and 'value="たまに"' in page


def test_a_built_in_limit_cannot_go(client: FlaskClient, settings: Settings, token: str) -> None:
    assert token
    stations_file(settings).write_text("")
    form = form_of(client, "data2") | {"co2.maximum": ""}
    page = client.post("/setup/stations/data2", data=form)
    assert page.status_code == 400 and "200000, or another one" in page.text


def test_two_administrators_at_once(app: Flask, path: Path, of: Administrators) -> None:
    first, second = app.test_client(), app.test_client()
    for client in (first, second):
        become(client, of)
    forms = [form_of(client, "freezer") for client in (first, second)]
    done = first.post("/setup/stations/freezer", data=forms[0] | {"icon": "fridge"})
    assert done.status_code == 303
    late = second.post("/setup/stations/freezer", data=forms[1] | {"label": "Ice"})
    assert late.status_code == 409 and "was changed since the page was" in late.text
    assert 'label = "Freezer"' in path.read_text() and 'icon = "fridge"' in path.read_text()
    listed = {"token": forms[1]["token"], "file": digest_of(b"of before"), "order": ["data4"]}
    assert second.post("/setup/stations", data=listed).status_code == 409
    assert "order" not in path.read_text()


def test_a_file_with_a_mistake_is_corrected_by_hand_first(
    client: FlaskClient, path: Path, token: str
) -> None:
    path.write_text(broken := FREEZER.replace("interval_sec", "interval"))
    for answer in (
        client.get("/setup/stations"),
        client.get("/setup/stations/data2"),
        client.post("/setup/stations/data2", data={"token": token, "label": "x"}),
        client.post("/setup/stations", data={"token": token, "order": "data4"}),
    ):
        assert answer.status_code == 409 and "line 4" in answer.text
    assert path.read_text() == broken


# --- What pages show of it -------------------------------------------------------------------


@pytest.mark.usefixtures("four")
def test_tiles_and_tables_follow(
    client: FlaskClient, token: str, settings: Settings, make_app: MakeApp
) -> None:
    path = stations_file(settings)
    path.write_text("")
    assert token and save(client, "data2", tile_main="co2", tile_second="pressure") == 303
    assert save(client, "data2", humidity__hidden="on", icon="bedroom") == 303
    other = app_with(path, make_app).test_client()
    tile = other.get("/").text.partition('id="tile-data2"')[2].partition("</article>")[0]
    main = tile.partition('class="main')[2].partition("</div>")[0]
    second = tile.partition('class="second"')[2].partition("</dl>")[0]
    assert "650" in main and "996.5" in second and "Humidity" not in words(tile)
    assert '<svg class="icon"' in tile.partition("</h2>")[0]
    history = other.get("/history").text
    of_station = history.partition('id="table"')[2]
    assert "<code>humidity" not in of_station
    texts = json.loads(html.unescape(re.findall(r'data-texts="([^"]*)"', history)[0]))
    assert texts["hidden"] == {"data2": ["humidity"]}
    # It is stored, exported and answered as before.
    newest = other.get("/history/json?endpoint=data2").get_json()
    assert newest[0]["data"]["humidity"] == 48.0
    assert "humidity" in other.get("/history.csv?endpoint=data2").text.splitlines()[0]
    records = other.get("/records?endpoint=data2").text
    assert "measurement=humidity" not in records and "measurement=co2" in records


@pytest.mark.usefixtures("four")
def test_the_csv_file_of_a_hidden_measurement_stays_the_same(
    client: FlaskClient, token: str, settings: Settings, database: Database, make_app: MakeApp
) -> None:
    append.export(settings, database)
    exported = settings.csv_dir / "BedRoomEnv.csv"
    before = exported.read_bytes()
    stations_file(settings).write_text("")
    assert token and save(client, "data2", humidity__hidden="on", label='Guest, "room"') == 303
    app = make_app()
    append.export(app.extensions["flask10x"].settings, app.extensions["flask10x"].database)
    assert exported.read_bytes() == before


def test_each_icon_is_drawn() -> None:
    assert tuple(ICONS) == NAMES_OF_ICONS


@pytest.mark.parametrize(
    "label, label_ja, icon",
    [
        ("Kitchen freezer", "", "fridge"),
        ("Cellar", "冷凍庫", "fridge"),
        ("Bathroom", "", "bath"),
        ("Back door", "", "entrance"),
        ("Outdoors", "", "outside"),
        ("North", "外気温", "outside"),
        ("North", "赤外線", ""),
        ("Garden", "", "garden"),
        ("North", "庭", "garden"),
        ("North", "家庭用", ""),
        ("Potting table", "", ""),
        ("Roof", "", ""),
    ],
)
def test_an_icon_is_chosen_by_name(label: str, label_ja: str, icon: str) -> None:
    one = replace(BUILT_IN.by_endpoint["data"], endpoint="x1", label=label, label_ja=label_ja)
    assert named_icon(one) == icon


def test_the_icon_by_name_can_be_changed_or_left_out(
    client: FlaskClient, path: Path, token: str
) -> None:
    assert token
    fridge, bath = str(drawing("fridge")), str(drawing("bath"))
    assert save(client, "freezer", label="Freezer", icon="") == 303
    assert fridge in client.get("/setup/stations").text
    assert save(client, "freezer", icon="bath") == 303
    page = client.get("/setup/stations").text
    assert bath in page and fridge not in page
    assert save(client, "freezer", icon="none") == 303
    page = client.get("/setup/stations").text
    assert bath not in page and fridge not in page
    assert stations(path).by_endpoint["freezer"].icon == "none"


# --- Attacks ---------------------------------------------------------------------------------

TEXTS = [
    *(text for text in HOSTILE if text.isprintable()),
    '"] #',
    "'''",
    "\\",
    "x = 1",
    "</script><script>alert(1)</script>",
    "javascript:alert(1)",
    '" onfocus=alert(1) autofocus x="',
    "${7*7}",
    "{name}",
]
ANY = (
    *TEXTS,
    '"""\n[stations.data]\nlabel = "x"',
    *(text for text in HOSTILE if not text.isprintable() and text != "\ud800"),
)
KEYS = (
    *("label", "label_ja", "icon", "tile_main", "tile_second", "chart", "interval_sec"),
    *("altitude_m", "temperature.minimum", "temperature.maximum", "battery.label"),
    *("battery.label_ja", *(f"temperature.bands.0.{key}" for key in ("limit", "label", "level"))),
)


def reachable(client: FlaskClient) -> list[str]:
    """Pages and programs that show a station's names."""
    programs = re.findall(
        r'href="(/devices/freezer/[^"]+)"', client.get("/status?sensor=freezer").text
    )
    assert programs
    return [
        *(
            "/",
            "/?kiosk=1",
            "/history",
            "/history?endpoint=freezer",
            "/records",
            "/records?endpoint=",
        ),
        *(
            "/status",
            "/status?sensor=freezer",
            "/alerts",
            "/notes",
            "/api",
            "/setup",
            "/setup/stations",
        ),
        *("/setup/stations/freezer", "/history/rejected", *programs),
    ]


# So many texts are tried at once, each in a field of its own.
NAMED = (
    *("label", "label_ja", "battery.label", "battery.label_ja"),
    *(f"temperature.bands.0.{key}" for key in ("label", "label_ja")),
)
ROUNDS = [TEXTS[at : at + len(NAMED)] for at in range(0, len(TEXTS), len(NAMED))]


@pytest.mark.parametrize("texts", ROUNDS)
def test_no_name_is_markup_anywhere(
    client: FlaskClient, path: Path, token: str, texts: list[str], make_app: MakeApp
) -> None:
    assert token
    form = form_of(client, "freezer") | dict(zip(NAMED, texts, strict=False))
    answer = client.post("/setup/stations/freezer", data=form)
    assert answer.status_code == 303, words(answer.text)
    station = stations(path).by_endpoint["freezer"]
    assert (station.label, station.label_ja) == (texts[0].strip(), texts[1].strip())
    app = app_with(path, make_app)
    other, store = app.test_client(), app.extensions["flask10x"]
    assert other.post("/freezer", json={"temperature": 31, "battery": 3.1}).status_code == 200
    store.writer.step()
    for language in ("en", "ja"):
        for url in reachable(other):
            page = other.get(url, headers={"Accept-Language": language})
            assert page.status_code == 200, url
            if "/devices/" in url:
                # The name is in a comment, and the comment ends with its line.
                usual = other.get(url.replace("freezer", "data3")).text
                assert len(page.text.splitlines()) == len(usual.splitlines())
            if page.mimetype == "text/html":
                assert not MARKUP.search(page.text), url
                tags = re.findall(r"<[a-z][^>]*>", page.text)
                assert not any(re.search(r"\son\w+\s*=", outside_quotes(tag)) for tag in tags), url
    for url in ("/history.csv", "/metrics", "/api/v1/latest", "/openapi.json", "/history/series"):
        assert other.get(url).status_code == 200, url


def outside_quotes(tag: str) -> str:
    return re.sub(r'"[^"]*"', '""', tag)


def test_no_field_writes_toml_of_its_own(app: Flask, tmp_path: Path) -> None:
    before, path = tomllib.loads(FREEZER), tmp_path / "stations.toml"
    path.write_text(FREEZER)
    of = File(path, FREEZER.encode(), stations(path))
    one = of.stations.by_endpoint["freezer"]
    for key, text in product(KEYS, ANY):
        fields = sent(one, {key: text})
        try:
            # What is wrong is said in the language of the request.
            with app.test_request_context():
                edit = edit_of(of, one, fields)
        except SettingsError:
            continue
        after = tomllib.loads((edit.data or b"").decode())
        assert after.keys() == {"stations"} and after["stations"].keys() == {"freezer"}
        measurements = after["stations"]["freezer"]["measurements"]
        assert measurements.keys() == {"temperature", "battery"}
        texts = [*texts_of(after)]
        assert {*texts} - {*texts_of(before)} <= {text.strip(), *USUAL_TEXTS}


def texts_of(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from texts_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_of(inner)
    else:
        yield value


# Of the usual thresholds, which are written with the one that was changed.
USUAL_TEXTS = {"Hot", "暑い", "Very hot", "厳重警戒の暑さ", "warning", 28, 31}


@pytest.mark.parametrize("text", ANY)
def test_what_was_refused_is_shown_as_text(
    client: FlaskClient, path: Path, token: str, text: str
) -> None:
    assert token
    form = form_of(client, "freezer") | dict.fromkeys(KEYS, text)
    answer = client.post("/setup/stations/freezer", data=form)
    assert answer.status_code == 400 and path.read_text() == FREEZER
    assert not MARKUP.search(answer.text) and "onfocus=alert(1) a" not in outside_quotes(
        answer.text
    )


NAMES_OF_FILES = [
    "../x.csv",
    "/etc/passwd",
    "a/b.csv",
    "..csv",
    ".csv",
    "x.csv\n",
    "x.csv\0",
    "C:\\x.csv",
]


@pytest.mark.parametrize("name", NAMES_OF_FILES)
def test_no_form_has_the_name_of_a_csv_file(
    client: FlaskClient, path: Path, token: str, name: str
) -> None:
    """Fields that the page does not have are not written: neither a path nor a heading."""
    assert token
    form = form_of(client, "freezer") | {"label": "Ice", "csv_file": name, "csv_header": name}
    form |= {"temperature.csv_header": "=1+1", "temperature.path": "x", "mqtt_topic": "#"}
    form |= {"nothing.minimum": "1", "retention_days": "30", "partial": "accept"}
    assert client.post("/setup/stations/freezer", data=form).status_code == 303
    assert path.read_text() == FREEZER.replace('"Freezer"', '"Ice"')
    with pytest.raises(Exception, match="csv_file"):
        station_file.parse(
            f"{FREEZER}\n[stations.x]\ncsv_file = {json.dumps(name)}\n".encode(), path
        )


def test_a_path_in_the_address_is_no_station(client: FlaskClient, path: Path, token: str) -> None:
    form = form_of(client, "freezer")
    for name in ("..%2Ffreezer", "Freezer", "freezer%00", "%2Fetc%2Fpasswd", "freezer;x"):
        assert client.post(f"/setup/stations/{name}", data=form).status_code == 404
    assert token and path.read_text() == FREEZER


def test_a_hidden_station_can_be_shown_again(client: FlaskClient, path: Path, token: str) -> None:
    assert token and save(client, "freezer", hidden="on") == 303
    assert stations(path).by_endpoint["freezer"].hidden
    assert "/freezer · hidden" in words(client.get("/setup/stations").text)
    assert 'name="hidden" value="on" checked' in client.get("/setup/stations/freezer").text
    form = form_of(client, "freezer")
    del form["hidden"]
    assert client.post("/setup/stations/freezer", data=form).status_code == 303
    assert not stations(path).by_endpoint["freezer"].hidden
