"""The page of the house: zone, place and altitude, found by the name of a town."""

import html
import re
import tomllib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask10x.config import settings as settings_module
from flask10x.config import towns
from flask10x.config.readers import coordinates, time_zone
from flask10x.config.settings import NAME
from flask10x.config.toml import digest_of
from flask10x.database.database import Database
from flask10x.runtime.administrators import Administrators
from flask10x.web.app import create_app
from tests.conftest import MakeApp
from tests.contract.test_hostile import HOSTILE, MARKUP
from tests.support import databases
from tests.support.html import Outline, words
from tests.web.pages.test_administrators import become

ZONE_OF_ENVIRONMENT = "Set in FLASK10X_TIMEZONE: change it there."


@pytest.fixture
def app(tmp_path: Path, database: Database) -> Iterator[Flask]:
    """Nothing of the house is in its environment."""
    environment = databases.variables(tmp_path) | {"FLASK10X_DATA_DIR": str(tmp_path)}
    app = create_app(settings_module.load(environment))
    yield app
    app.extensions["flask10x"].close()
    assert database


@pytest.fixture
def token(app: Flask, client: FlaskClient) -> str:
    return become(client, Administrators(app.extensions["flask10x"].settings))


def saved(tmp_path: Path) -> dict[str, object]:
    path = tmp_path / NAME
    return tomllib.loads(path.read_text()) if path.exists() else {}


def save(client: FlaskClient, **fields: str) -> int:
    return client.post("/setup/house", data=fields).status_code


def test_a_town_gives_zone_place_and_altitude(
    client: FlaskClient, token: str, tmp_path: Path
) -> None:
    page = client.get("/setup/house?q=札幌市")
    Outline(page.text)
    (address,) = re.findall(r'href="(/setup/house\?town=[^"]+)"', page.text)
    chosen = client.get(html.unescape(address)).text
    fields = dict(re.findall(r'name="(timezone|place|altitude_m)" value="([^"]*)"', chosen))
    assert fields == {"timezone": "Asia/Tokyo", "place": "43.06,141.35", "altitude_m": "17"}
    assert "These are the values of Sapporo" in words(chosen) and saved(tmp_path) == {}
    assert save(client, token=token, **fields) == 303
    assert saved(tmp_path) == {"timezone": "Asia/Tokyo", "place": "43.06,141.35", "altitude_m": 17}
    again = client.get("/setup/house?saved=1").text
    assert 'value="Asia/Tokyo"' in again and "Saved." in words(again)
    changed = "Changed in settings.toml: Time zone, Latitude, longitude"
    assert changed in words(client.get("/setup").text)


def test_what_is_by_hand_in_the_file_stays(client: FlaskClient, token: str, tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_text("# Ours.\nALTITUDE_M = 5 # the cellar\nhistory_max = 300\n")
    page = client.get("/setup/house").text
    assert 'name="altitude_m" value="5"' in page
    assert save(client, token=token, timezone="Asia/Tokyo", place="", altitude_m="−3.5") == 303
    text = path.read_text()
    assert text.startswith("# Ours.\nALTITUDE_M = -3.5 # the cellar\nhistory_max = 300\n")
    assert save(client, token=token, timezone="", place="", altitude_m="") == 303
    assert saved(tmp_path) == {"history_max": 300}


@pytest.mark.parametrize(
    ("field", "text", "needed"),
    [
        ("timezone", "Asia/Tokio", "(did you mean Asia/Tokyo?)"),
        ("timezone", "Nowhere", "a zone such as Asia/Tokyo is needed"),
        ("timezone", "../../etc/passwd", "a zone such as Asia/Tokyo is needed"),
        ("timezone", "/etc/passwd", "a zone such as Asia/Tokyo is needed"),
        ("place", "139.75,35.69", "a latitude from -90 to 90 comes first"),
        ("place", "Tokyo", "latitude and longitude in degrees such as 35.68,139.77"),
        ("altitude_m", "high", "metres above sea level from -430 to 800 are needed"),
        ("altitude_m", "801", "metres above sea level from -430 to 800 are needed"),
    ],
)
def test_each_mistake_is_said_at_its_field(
    client: FlaskClient, token: str, tmp_path: Path, field: str, text: str, needed: str
) -> None:
    answer = client.post("/setup/house", data={"token": token, "place": "1,2", field: text})
    (error,) = re.findall(rf'id="error-{field}">([^<]*)<', answer.text)
    assert answer.status_code == 400 and needed in html.unescape(error)
    assert f'name="{field}" value="{text}"' in answer.text and saved(tmp_path) == {}
    assert field == "place" or 'name="place" value="1,2"' in answer.text


def test_what_the_environment_has_is_shown_with_its_place(
    make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app()
    client = app.test_client()
    token = become(client, Administrators(app.extensions["flask10x"].settings))
    page = client.get("/setup/house?town=Sydney, Australia").text
    assert ZONE_OF_ENVIRONMENT in words(page)
    # It does not look as if it could be changed.
    assert 'name="timezone"' not in page and "<strong>Asia/Tokyo</strong>" in page
    assert save(client, token=token, timezone="UTC", place="35,139", altitude_m="") == 303
    assert saved(tmp_path) == {"place": "35,139"}


def test_others_change_nothing(app: Flask, client: FlaskClient, token: str, tmp_path: Path) -> None:
    form = {"token": token, "timezone": "UTC"}
    stranger = app.test_client()
    assert "admin-link" in stranger.get("/setup/house").text
    assert stranger.post("/setup/house", data=form).status_code == 403
    assert client.post("/setup/house", data={"timezone": "UTC"}).status_code == 403
    other = {"Origin": "http://other.example"}
    assert client.post("/setup/house", data=form, headers=other).status_code == 403
    assert saved(tmp_path) == {}


def test_two_administrators_at_once(client: FlaskClient, token: str, tmp_path: Path) -> None:
    form = {"token": token, "file": digest_of(b""), "place": "1,2"}
    assert client.post("/setup/house", data=form).status_code == 303
    answer = client.post("/setup/house", data=form | {"place": "3,4"})
    assert answer.status_code == 409 and saved(tmp_path) == {"place": "1,2"}
    assert "was changed since the page was loaded" in answer.text


def test_no_field_writes_toml_of_its_own(client: FlaskClient, token: str, tmp_path: Path) -> None:
    for text in (*HOSTILE[:-5], '"\nallowed_hosts = "x"', "'''", '"""', "1\nsetup = 'off'"):
        sent = text.encode("utf-8", "replace")
        form = {"timezone": sent, "place": sent, "altitude_m": sent}
        answer = client.post("/setup/house", data={"token": token, **form})
        assert answer.status_code == 400 and answer.text.count('id="error-') == len(form)
        assert saved(tmp_path) == {} and not MARKUP.search(answer.text)


def test_no_name_of_a_house_is_markup(client: FlaskClient, token: str, tmp_path: Path) -> None:
    for text in (one for one in HOSTILE if one.isprintable()):
        name = text[:40].strip()
        assert save(client, token=token, house_name=name) == 303
        assert saved(tmp_path) == {"house_name": name}
        environment = databases.variables(tmp_path) | {"FLASK10X_DATA_DIR": str(tmp_path)}
        named = create_app(settings_module.load(environment))
        try:
            for path in ("/", "/?kiosk=1", "/history", "/setup", "/setup/house", "/status"):
                page = named.test_client().get(path).text
                assert name in html.unescape(page) and not MARKUP.search(page), path
        finally:
            named.extensions["flask10x"].close()


@pytest.mark.parametrize("text", HOSTILE[:9])
def test_no_search_is_markup(client: FlaskClient, text: str) -> None:
    for name in ("q", "town"):
        answer = client.get("/setup/house", query_string={name: text})
        assert answer.status_code == 200 and not MARKUP.search(answer.text)


def test_a_broken_file_is_corrected_by_hand_first(
    client: FlaskClient, token: str, tmp_path: Path
) -> None:
    (tmp_path / NAME).write_text("port = 1\n")
    for answer in (client.get("/setup/house"), client.post("/setup/house", data={"token": token})):
        assert answer.status_code == 409 and "only a restart changes this" in answer.text


# --- Towns -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [
        *(("sapporo", "Sapporo"), ("ＳＡＰＰＯＲＯ", "Sapporo"), ("札幌", "Sapporo")),
        *(("東京都", "Tokyo"), ("大阪府", "Osaka"), ("なは", ""), ("那覇市", "Naha")),
        *(("kita", "Kitakyushu"), ("sydney", "Sydney"), ("bogota", "Bogota"), ("", "")),
    ],
)
def test_a_town_is_found_however_it_is_written(text: str, name: str) -> None:
    found, _near = towns.search(text)
    assert (found[0].name if found else "") == name
    assert len(found) <= towns.MOST


def test_the_nearest_town_is_named() -> None:
    assert towns.search("Saporo") == ([], "Sapporo")
    assert towns.search("xyzxyz") == ([], "")


def test_each_town_is_a_place_in_a_zone() -> None:
    keys = [town.key for town in towns.towns()]
    assert len(keys) > 400
    for town in towns.towns():
        place = coordinates(town.place)
        assert time_zone(town.zone) and towns.town_of(town.key)
        # The sun is at its highest near noon; clocks in the west of China are the furthest from it.
        january = datetime(2026, 1, 15, tzinfo=ZoneInfo(town.zone))
        offset = january.utcoffset() or timedelta()
        apart = (place.longitude - offset / timedelta(hours=1) * 15 + 180) % 360 - 180
        assert abs(apart) < 38, town
        if town.zone == "Asia/Tokyo":
            # Japan lies between Yonaguni and Etorofu.
            assert 24 < place.latitude < 46 and 122 < place.longitude < 149, town
