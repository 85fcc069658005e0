"""The first steps of a new installation, each done where it stands."""

import html
import re
import tomllib
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from flask10x.config import station_file
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.recording.writer import Writer
from flask10x.runtime.administrators import Administrators
from flask10x.system import address, clock, disks
from flask10x.system.background import About, Background
from flask10x.web.pages.setup import notifications
from tests.conftest import MakeApp
from tests.support.html import Outline, words
from tests.web.pages.test_administrators import become

PAGE = "/setup/start"
STATIONS = "/setup/stations?changed=1#station-freezer"


@pytest.fixture
def of(settings: Settings) -> Administrators:
    return Administrators(settings)


@pytest.fixture
def token(client: FlaskClient, of: Administrators) -> str:
    return become(client, of)


def step(page: str, name: str) -> str:
    """The part of the page for a step."""
    found = re.search(rf'<section class="[^"]*" id="{name}".*?</section>', page, re.DOTALL)
    assert found
    return found[0]


def states(page: str) -> dict[str, str]:
    return {n: s for s, n in re.findall(r'<section class="task box (\w+)" id="(\w+)"', page)}


def test_all_steps_are_on_one_page_without_the_list_of_the_others(
    client: FlaskClient, token: str
) -> None:
    assert token
    page = client.get(PAGE).text
    Outline(page)
    assert states(page) == dict.fromkeys(("house", "board", "notification", "backup"), "open") | {
        "home": "later"
    }
    main = page.partition('id="main"')[2]
    assert 'href="/setup/stations"' not in main and "<nav" not in main
    # Each is done by a form of its own.
    for name, action in (
        ("house", "/setup/start/house"),
        ("board", "/setup/new-station"),
        ("notification", "/setup/start/notification"),
        ("backup", "/setup/files/backup"),
    ):
        assert f'action="{action}"' in step(page, name)
    # A board is what the others are for.
    for name in ("house", "notification", "backup"):
        assert f"later={name}" in step(page, name)
    assert "later=" not in step(page, "board")


def test_what_is_left_for_later_is_a_line_and_stays_so_after_a_form(
    client: FlaskClient, token: str
) -> None:
    page = client.get(f"{PAGE}?later=notification&later=none").text
    assert states(page)["notification"] == "later" and "<form" not in step(page, "notification")
    form = {"token": token, "house_name": "", "later": "notification"}
    answer = client.post(f"{PAGE}/house", data=form)
    assert answer.headers["Location"] == f"{PAGE}?later=notification#board"


def test_name_and_town_are_set_where_they_stand(
    client: FlaskClient, settings: Settings, token: str
) -> None:
    form = {"token": token, "house_name": " 山の家 ", "q": "Sapporo"}
    answer = client.post(f"{PAGE}/house", data=form)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{PAGE}?changed=1#board")
    path = settings.data_dir / "settings.toml"
    assert tomllib.loads(path.read_text()) == {
        "house_name": "山の家",
        "place": "43.06,141.35",
        "altitude_m": 17,
    }
    page = client.get(PAGE).text
    done = step(page, "house")
    assert states(page)["house"] == "done" and "山の家" in done and "<form" not in done
    assert f'href="{PAGE}?change=house#house"' in done
    again = step(client.get(f"{PAGE}?change=house").text, "house")
    assert 'name="house_name" value="山の家"' in again


def test_towns_of_one_name_are_listed_and_chosen(
    client: FlaskClient, settings: Settings, token: str
) -> None:
    form = {"token": token, "house_name": "Hut", "q": "San"}
    address_of_list = client.post(f"{PAGE}/house", data=form).headers["Location"]
    assert address_of_list == f"{PAGE}?change=house&q=San&changed=1#house"
    towns = re.findall(
        r'name="town" value="([^"]+)"', step(client.get(address_of_list).text, "house")
    )
    assert len(towns) > 1
    form = {"token": token, "house_name": "Hut", "town": html.unescape(towns[0])}
    answer = client.post(f"{PAGE}/house", data=form)
    assert answer.headers["Location"] == f"{PAGE}?changed=2#board"
    assert "place" in tomllib.loads((settings.data_dir / "settings.toml").read_text())
    form = {"token": token, "house_name": "Hut", "q": "Sapporro"}
    answer = client.get(client.post(f"{PAGE}/house", data=form).headers["Location"])
    assert "Did you mean" in words(step(answer.text, "house"))


def test_a_wrong_name_is_marked_and_kept(client: FlaskClient, token: str) -> None:
    form = {"token": token, "house_name": "x" * 1000}
    answer = client.post(f"{PAGE}/house", data=form)
    assert answer.status_code == 400 and 'id="error-house_name"' in answer.text
    assert "x" * 1000 in answer.text


def test_a_board_that_knocks_is_added_there_and_leads_back(
    client: FlaskClient, settings: Settings, token: str, writer: Writer
) -> None:
    assert (
        client.post("/freezer", json={"temperature": -18.2, "battery": "3.1V"}).status_code == 404
    )
    writer.rejected_queue.finish()
    shown = step(client.get(PAGE).text, "board")
    assert "Temperature −18.2 °C" in words(shown) and "Battery 3.1 V" in words(shown)
    assert 'name="label" value="Freezer"' in shown
    form_of_board = shown.partition('class="knocking"')[2].partition("</form>")[0]
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form_of_board))
    fields = {name: html.unescape(value) for name, value in fields.items()}
    assert fields["replay"] == "1"
    form = {**fields, "label": "Freezer"}
    answer = client.post("/setup/stations/freezer", data=form)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{PAGE}?changed=1#home")
    (added,) = [
        one
        for one in station_file.load(settings.data_dir / "stations.toml").all
        if one.endpoint == "freezer"
    ]
    # A name that was left as it was proposed has its Japanese one with it.
    assert (added.label, added.label_ja) == ("Freezer", "冷凍庫")
    page = client.get(PAGE).text
    assert states(page)["board"] == "done" and "Freezer" in step(page, "board")
    assert "its next value makes the first tile" in words(step(page, "home"))


def test_a_board_has_the_name_that_was_typed(
    client: FlaskClient, settings: Settings, token: str
) -> None:
    client.post("/freezer", json={"temperature": -18.2})
    form = {"token": token, "label": "In the cellar", "back": "setup.as_start#home"}
    assert client.post("/setup/stations/freezer", data=form).status_code == 303
    stations = station_file.load(settings.data_dir / "stations.toml").by_endpoint
    assert (stations["freezer"].label, stations["freezer"].label_ja) == ("In the cellar", "")


@pytest.mark.parametrize(
    ("back", "place"),
    [
        ("home.as_page", "/"),
        ("status_page.as_page", "/status"),
        ("setup.as_start#board", f"{PAGE}?changed=1#board"),
        ("setup.as_stations", "/setup/stations?changed=1"),
        ("", STATIONS),
        # Nowhere else.
        ("//example.org", STATIONS),
        ("setup.end", STATIONS),
        ("setup.as_start#x y", STATIONS),
    ],
)
def test_who_adds_a_board_is_back_where_they_came_from(
    client: FlaskClient, token: str, back: str, place: str
) -> None:
    client.post("/freezer", json={"temperature": -18.2})
    page = client.get("/setup/stations/freezer", query_string={"back": back}).text
    known = place != STATIONS
    assert (f'name="back" value="{back}"' in page) == known
    form = {"token": token, "label": "Freezer", "back": back}
    assert client.post("/setup/stations/freezer", data=form).headers["Location"] == place


def test_the_first_tile_is_shown_with_its_value(
    client: FlaskClient, writer: Writer, token: str
) -> None:
    assert token
    client.post(
        "/data3", json={"temperature": -2.5, "humidity": 50, "pressure": 1000, "gas_res": 5000}
    )
    writer.step()
    page = client.get(PAGE).text
    home = step(page, "home")
    assert "−2.5" in home and 'class="next" href="/"' in home
    assert states(page)["board"] == "done"


def test_a_test_makes_the_channel_with_the_shown_topic(
    client: FlaskClient, settings: Settings, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []

    def send(_settings: Settings, channel: object, _within_sec: float) -> list[str]:
        sent.append(str(channel))
        return troubles

    monkeypatch.setattr(notifications, "send_test", send)
    troubles = [""]
    shown = step(client.get(PAGE).text, "notification")
    match = re.search(r"<code>(house-[a-z2-7]{12})</code>", shown)
    assert match and "<svg" in shown
    page = client.post(f"{PAGE}/notification", data={"token": token}).text
    assert "Sent. Did it arrive?" in words(page) and states(page)["notification"] == "open"
    (path,) = (settings.data_dir / "channels").iterdir()
    assert path.read_text() == f"https://ntfy.sh/{match[1]}\n"
    page = client.get(PAGE).text
    assert states(page)["notification"] == "done" and match[1] not in page
    troubles = ["no_such_host"]
    form = {"token": token, "name": "phone"}
    page = client.post(f"{PAGE}/notification", data=form).text
    assert "the test did not arrive: no such host" in words(page)
    assert len(sent) == 2 and len([*(settings.data_dir / "channels").iterdir()]) == 1


def test_a_file_of_alerts_with_mistakes_gets_no_channel(
    client: FlaskClient, settings: Settings, token: str
) -> None:
    (settings.data_dir / "alerts.toml").write_text("nonsense = 1\n")
    assert "mistakes" in words(step(client.get(PAGE).text, "notification"))
    assert client.post(f"{PAGE}/notification", data={"token": token}).status_code == 409


def test_a_backup_that_is_there_ends_its_step(
    client: FlaskClient, settings: Settings, token: str
) -> None:
    assert token
    settings.backup_dir.mkdir(parents=True, exist_ok=True)
    (settings.backup_dir / "flask10x-20261126-030000.sqlite3").write_bytes(b"x" * 2000)
    page = client.get(PAGE).text
    assert states(page)["backup"] == "done" and "26 Nov" in step(page, "backup")
    again = step(client.get(f"{PAGE}?change=backup").text, "backup")
    assert "download" in again and "Back up now" in again
    form = re.search(r'action="/setup/files/backup".*?</form>', again, re.DOTALL)
    assert form and 'name="back" value="setup.as_start#backup"' in form[0]


def test_a_stick_is_chosen_where_it_is_found(
    client: FlaskClient, settings: Settings, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[About] = []
    monkeypatch.setattr(
        Background, "start", lambda _self, about, _environment: started.append(about)
    )
    assert "Copy each backup to" not in client.get(PAGE).text
    monkeypatch.setattr(disks, "removable", lambda: [Path("/media/usb")])
    form = re.search(
        r'action="/setup/files/target".*?</form>', step(client.get(PAGE).text, "backup"), re.DOTALL
    )
    assert form and "Copy each backup to /media/usb/flask10x" in form[0]
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[0]))
    answer = client.post("/setup/files/target", data=fields)
    assert (answer.status_code, answer.location.split("?")[0]) == (303, PAGE)
    assert started[-1].arguments == ["backup", "--try", "/media/usb/flask10x"]
    assert "/media/usb/flask10x" in (settings.data_dir / "settings.toml").read_text()


def test_a_house_with_a_target_says_where_copies_go(make_app: MakeApp) -> None:
    page = make_app(BACKUP_COPY_DIR="/media/usb/house").test_client().get(PAGE).text
    assert "Each backup is copied to /media/usb/house." in words(step(page, "backup"))


def test_strangers_change_nothing(client: FlaskClient) -> None:
    page = client.get(PAGE)
    assert page.status_code == 200 and "admin-link" in page.text
    for path in (f"{PAGE}/house", f"{PAGE}/notification"):
        assert client.post(path, data={"house_name": "x"}).status_code == 403


def test_the_name_of_the_house_is_on_the_pages(make_app: MakeApp) -> None:
    page = make_app(HOUSE_NAME="<b>山の家").test_client().get("/").text
    assert "<title>Home – &lt;b&gt;山の家</title>" in page and "<b>山の家" not in page


def test_the_code_is_of_an_address_that_a_phone_can_use(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address, "own_address", lambda: "192.168.0.7")
    page = client.get(PAGE, headers={"Host": "localhost:8888"}).text
    assert "http://192.168.0.7:8888/" in page and "<svg" in page.partition('class="phone"')[2]
    page = client.get(PAGE, headers={"Host": "pi.local"}).text
    assert "<code>http://pi.local/</code>" in page
    monkeypatch.setattr(address, "own_address", lambda: None)
    monkeypatch.setattr(address, "local_name", lambda _settings: None)
    page = client.get(PAGE, headers={"Host": "127.0.0.1:8888"}).text
    assert 'class="phone"' not in page and "FLASK10X_BIND" in page


def test_a_new_house_leads_there_and_shows_no_command_first(
    client: FlaskClient, of: Administrators
) -> None:
    for path, part in (("/", "welcome"), ("/history?from=-24h", "empty")):
        main = client.get(path).text.partition(f'class="{part}"')[2].partition("</details>")[0]
        assert f'href="{PAGE}"' in main
        # A command is there for who asks for it.
        before, _details, folded = main.partition("<details>")
        assert "curl" in folded and "curl" not in before
    link = of.new_link(clock.now_ms())
    assert client.post("/setup/link", data={"link": link}).headers["Location"] == PAGE


def test_a_house_with_readings_is_not_new(
    client: FlaskClient, of: Administrators, writer: Writer
) -> None:
    client.post(
        "/data3", json={"temperature": 20, "humidity": 50, "pressure": 1000, "gas_res": 5000}
    )
    writer.step()
    link = of.new_link(clock.now_ms())
    assert client.post("/setup/link", data={"link": link}).headers["Location"] == "/setup"
    assert PAGE not in client.get("/").text.partition('id="main"')[2]
    link = of.new_link(clock.now_ms())
    assert 'name="start" value="1"' in client.get(f"/setup/link/{link}?start=1").text
    answer = client.post("/setup/link", data={"link": link, "start": "1"})
    assert answer.headers["Location"] == PAGE


def test_without_pages_of_the_setup_nothing_leads_there(
    make_app: MakeApp, database: Database
) -> None:
    assert database
    client = make_app(SETUP="off").test_client()
    for path in ("/", "/history?from=-24h", "/alerts"):
        answer = client.get(path)
        assert answer.status_code == 200 and PAGE not in answer.text
