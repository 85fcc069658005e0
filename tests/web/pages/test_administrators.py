"""A browser becomes an administrator's, adds a station that sends, and takes it back."""

import errno
import html
import os
import re
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from markupsafe import escape

from flask10x.config import station_file
from flask10x.config.settings import Settings
from flask10x.config.toml import digest_of, schema_line
from flask10x.database.database import Database
from flask10x.database.running_service import Running
from flask10x.database.station_columns import add_missing
from flask10x.errors import SettingsError
from flask10x.recording.shared_queue import WorkerSlot
from flask10x.recording.writer import Writer
from flask10x.runtime import administrators as module
from flask10x.runtime import setup_files
from flask10x.runtime.added_stations import AGAIN_SEC, SETTLED_SEC, AddedStations
from flask10x.runtime.administrators import CHANGES, NAME, Administrators
from flask10x.runtime.setup_files import FileChange
from flask10x.system import clock, own_files
from flask10x.system.gauges import Gauges
from flask10x.system.locks import FileLock
from flask10x.web.administrators import COOKIE
from flask10x.web.app import create_app
from flask10x.web.pages.setup import changes
from flask10x.web.senders import SENDING_MS
from tests.conftest import MakeApp, MakeSettings
from tests.support.html import words
from tests.support.rows import select

BODY = '{"temperature": -18.2, "battery": "3.1V", "note": "<b>cold</b>"}'
EMPTY = digest_of(b"")
FORM = {"label": "Freezer", "label_ja": "冷凍庫"}


@pytest.fixture
def of(settings: Settings) -> Administrators:
    return Administrators(settings)


@pytest.fixture
def sends(client: FlaskClient, writer: Writer) -> None:
    """A board sends to a path of no station."""
    assert client.post("/freezer", data=BODY).status_code == 404
    writer.rejected_queue.finish()


def become(client: FlaskClient, of: Administrators) -> str:
    """Make the client's browser an administrator's; return what its forms carry."""
    link = of.new_link(clock.now_ms())
    assert client.post("/setup/link", data={"link": link}).status_code == 303
    return token_of(client.get("/setup").text)


def token_of(page: str) -> str:
    match = re.search(r'name="token" value="([0-9a-f]{64})"', page)
    assert match
    return match[1]


def stations_file(settings: Settings) -> Path:
    return settings.data_dir / "stations.toml"


def test_a_link_works_once_for_ten_minutes_and_only_by_its_button(
    client: FlaskClient, of: Administrators, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = of.new_link(clock.now_ms())
    for _ in range(2):
        # A program that looks at links of messages only gets the page.
        assert client.get(f"/setup/link/{link}").status_code == 200
    answer = client.post("/setup/link", data={"link": link})
    cookie = answer.headers["Set-Cookie"]
    assert answer.status_code == 303 and "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert client.post("/setup/link", data={"link": link}).status_code == 404
    assert client.get(f"/setup/link/{link}").status_code == 404
    late = of.new_link(clock.now_ms())
    now_ms = clock.now_ms()
    monkeypatch.setattr(clock, "now_ms", lambda: now_ms + module.LINK_MS + 1)
    assert client.post("/setup/link", data={"link": late}).status_code == 404
    assert client.post("/setup/link", data={"link": ""}).status_code == 404


@pytest.mark.parametrize("later_ms", [660_000, 7 * 86_400_000 + 1])
def test_a_clock_that_was_ahead_keeps_no_link_open(
    client: FlaskClient, of: Administrators, monkeypatch: pytest.MonkeyPatch, later_ms: int
) -> None:
    """Seven days ahead when the link was made, it was open for 10,090 minutes."""
    wall_ms, monotonic_ms = clock.now_ms(), clock.monotonic_ms()
    monkeypatch.setattr(clock, "now_ms", lambda: wall_ms + 7 * 86_400_000)
    link = of.new_link(clock.now_ms())
    assert client.get(f"/setup/link/{link}").status_code == 200
    monkeypatch.setattr(clock, "now_ms", lambda: wall_ms + later_ms)
    monkeypatch.setattr(clock, "monotonic_ms", lambda: monotonic_ms + later_ms)
    assert client.post("/setup/link", data={"link": link}).status_code == 404


def test_links_that_are_tried_in_vain_cost_no_write_and_keep_nobody_waiting(
    client: FlaskClient,
    of: Administrators,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    become(client, of)
    path = settings.data_dir / NAME
    before = path.stat()
    monkeypatch.setattr(module, "LOCK_TIMEOUT_SEC", 0)
    with closing(FileLock(path.with_name(f".{NAME}.lock"))) as lock:
        # A change that takes long.
        lock.acquire(0)
        tried = [client.post("/setup/link", data={"link": f"{n}"}) for n in range(40)]
    statuses = [answer.status_code for answer in tried]
    assert statuses == sorted(statuses) and {*statuses} == {404, 429}
    assert statuses.count(404) >= 20 and tried[-1].headers["Retry-After"] == "60"
    assert path.stat() == before
    lines = [line for line in caplog.messages if "/setup/link refused" in line]
    assert lines == ["/setup/link refused: wrong or used link, from 127.0.0.1"]
    # Who has one that works comes in all the same.
    become(client, of)


def test_wrong_links_are_a_line_a_minute_and_30_tries_for_all_workers(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start_ms = clock.monotonic_ms()
    monkeypatch.setattr(clock, "monotonic_ms", lambda: start_ms)
    gauges = Gauges(settings.stations.by_endpoint)
    apps = [create_app(settings, WorkerSlot.alone(settings, gauges, n)) for n in range(2)]

    def tried(count: int) -> list[int]:
        return [apps[n % 2].test_client().get(f"/setup/link/{n}").status_code for n in range(count)]

    assert tried(34) == [404] * 30 + [429] * 4
    monkeypatch.setattr(clock, "monotonic_ms", lambda: start_ms + 60_000)
    assert tried(2) == [404, 404]
    lines = [line for line in caplog.messages if "/setup/link refused" in line]
    line = "/setup/link refused: wrong or used link, from 127.0.0.1"
    assert lines == [line, f"{line} (33 more since the last such line)"]
    for app in apps:
        app.extensions["flask10x"].close()


def test_a_change_is_kept_beside_the_administrators(
    client: FlaskClient, of: Administrators, settings: Settings
) -> None:
    token = become(client, of)
    (settings.data_dir / "settings.toml").write_text("# A secret of ours.\n")
    before = (settings.data_dir / NAME).stat()
    client.post("/setup/house", data={"token": token, "house_name": "Ours"})
    assert (settings.data_dir / NAME).stat() == before
    folder = settings.data_dir / CHANGES
    (path,) = folder.iterdir()
    assert "A secret of ours" in path.read_text() and stat.S_IMODE(folder.stat().st_mode) == 0o700
    # It stays readable when one of them is not.
    (folder / "7.json").write_text("{")
    assert [change.number for change in of.changes] == [1]
    for number in range(60):
        of.note(replace(of.changes[0], number=0, at_ms=number))
    assert len(of.changes) == 50 and of.changes[0].at_ms == 59


def test_the_file_has_no_secret_and_is_private(
    client: FlaskClient, of: Administrators, settings: Settings
) -> None:
    link = of.new_link(clock.now_ms())
    client.post("/setup/link", data={"link": link})
    cookie = client.get_cookie(COOKIE)
    assert cookie
    path = settings.data_dir / NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert cookie.value not in path.read_text() and link not in path.read_text()


def test_a_browser_is_ended_by_another_and_all_by_the_command(
    app: Flask, client: FlaskClient, of: Administrators
) -> None:
    phone = app.test_client()
    token = become(client, of)
    become(phone, of)
    (number,) = [one.number for one in of.browsers if one.number != of.browsers[-1].number]
    assert client.post("/setup/end", data={"token": token, "number": number}).status_code == 303
    assert len(of.browsers) == 1
    assert "admin-link" in words(phone.get("/setup").text)
    assert of.end() == 1
    assert client.post("/setup/end", data={"token": token, "number": 1}).status_code == 403


@pytest.mark.usefixtures("sends")
def test_a_station_that_sends_is_added_and_taken_back(
    client: FlaskClient, of: Administrators, settings: Settings
) -> None:
    path = stations_file(settings)
    path.write_text("# Our own words.\n")
    token = become(client, of)
    shown = words(client.get("/setup/stations/freezer").text)
    assert "temperature" in shown and "°C" in shown and "-18.2" in shown
    assert "/setup/stations/freezer" in client.get("/status").text
    added = client.post("/setup/stations/freezer", data={"token": token, **FORM})
    assert added.status_code == 303
    text = path.read_text()
    assert text.startswith("# Our own words.\n") and '[stations.freezer]\nlabel = "Freezer"' in text
    assert 'label_ja = "冷凍庫"' in text
    (change,) = of.changes
    assert "freezer" in words(client.get("/setup").text)
    undone = client.post("/setup/undo", data={"token": token, "number": change.number})
    assert undone.status_code == 303
    assert path.read_text() == "# Our own words.\n"
    again = client.post("/setup/undo", data={"token": token, "number": change.number})
    assert again.status_code == 409


@pytest.mark.usefixtures("sends")
def test_a_form_that_is_sent_twice_adds_the_station_once(
    client: FlaskClient, of: Administrators, settings: Settings
) -> None:
    token = become(client, of)
    for _ in range(2):
        answer = client.post("/setup/stations/freezer", data={"token": token, **FORM})
        assert answer.status_code == 303
    assert stations_file(settings).read_text().count("[stations.freezer]") == 1
    assert len(of.changes) == 1


@pytest.mark.usefixtures("sends")
def test_a_file_that_was_changed_since_is_not_undone(
    client: FlaskClient, of: Administrators, settings: Settings
) -> None:
    token = become(client, of)
    client.post("/setup/stations/freezer", data={"token": token, **FORM})
    path = stations_file(settings)
    path.write_text(changed := path.read_text() + "# By hand.\n")
    answer = client.post("/setup/undo", data={"token": token, "number": of.changes[0].number})
    assert answer.status_code == 409 and "stays as it is" in answer.text
    assert path.read_text() == changed


@pytest.mark.usefixtures("sends")
def test_a_station_that_a_rule_names_is_not_undone(
    client: FlaskClient, of: Administrators, settings: Settings
) -> None:
    """Or the service would not start any more after the next power cut."""
    token = become(client, of)
    client.post("/setup/stations/freezer", data={"token": token, **FORM})
    alerts = settings.data_dir / "alerts.toml"
    alerts.write_text('[rules.silence]\nstations = ["freezer"]\n')
    undo = {"token": token, "number": of.changes[0].number}
    answer = client.post("/setup/undo", data=undo)
    assert answer.status_code == 409 and "there is no station freezer" in answer.text
    assert stations_file(settings).exists() and of.changes[0].undone_ms is None
    alerts.unlink()
    assert client.post("/setup/undo", data=undo).status_code == 303
    assert not stations_file(settings).exists()


@pytest.mark.usefixtures("sends")
def test_a_rule_of_a_station_that_is_gone_does_not_come_back(
    client: FlaskClient, of: Administrators, settings: Settings
) -> None:
    token = become(client, of)
    client.post("/setup/stations/freezer", data={"token": token, **FORM})
    alerts = settings.data_dir / "alerts.toml"
    rule = '[rules.frozen]\nkind = "silence"\nstations = ["freezer"]\n'
    of.note(
        replace(of.changes[0], number=0, kind="rule", path=str(alerts), before=rule, after=EMPTY)
    )
    of_rule, of_station = of.changes
    client.post("/setup/undo", data={"token": token, "number": of_station.number})
    answer = client.post("/setup/undo", data={"token": token, "number": of_rule.number})
    assert answer.status_code == 409 and "there is no station freezer" in answer.text
    assert not alerts.exists()


@pytest.mark.usefixtures("sends")
def test_what_was_typed_is_still_there_when_something_is_wrong(
    client: FlaskClient, of: Administrators, settings: Settings
) -> None:
    token = become(client, of)
    wrong = {"label": 'a"\n[stations.data]', "label_ja": "冷凍庫"}
    answer = client.post("/setup/stations/freezer", data={"token": token, **wrong})
    assert answer.status_code == 400
    assert 'aria-describedby="error-label"' in answer.text and "冷凍庫" in answer.text
    assert not stations_file(settings).exists()
    stations_file(settings).write_text("[stations.freezer\n")
    broken = client.post("/setup/stations/freezer", data={"token": token, **FORM})
    assert broken.status_code == 400 and "[stations.freezer]" in broken.text
    assert stations_file(settings).read_text() == "[stations.freezer\n"


@pytest.mark.usefixtures("sends")
def test_names_are_only_names(client: FlaskClient, of: Administrators, settings: Settings) -> None:
    token = become(client, of)
    label = '"] #<script>alert(1)</script>'
    client.post("/setup/stations/freezer", data={"token": token, "label": label, "label_ja": ""})
    assert stations_file(settings).read_text().count("[stations.freezer]") == 1
    assert "<script>alert" not in client.get("/setup").text


@pytest.mark.usefixtures("sends")
def test_others_change_nothing(
    app: Flask, client: FlaskClient, of: Administrators, settings: Settings
) -> None:
    token = become(client, of)
    stranger, path = app.test_client(), stations_file(settings)
    form = {"token": token, **FORM}
    assert stranger.post("/setup/stations/freezer", data=form).status_code == 403
    stranger.set_cookie(COOKIE, "x" * 43)
    assert stranger.post("/setup/stations/freezer", data=form).status_code == 403
    assert client.post("/setup/stations/freezer", data=FORM).status_code == 403
    other = {"Origin": "http://other.example"}
    answer = client.post("/setup/stations/freezer", data=form, headers=other)
    assert answer.status_code == 403
    assert not path.exists() and of.changes == []
    assert "admin-link" in stranger.get("/setup/stations/freezer").text


@pytest.mark.parametrize("name", ["nothing", "Freezer", "..%2Fx", "metrics"])
@pytest.mark.usefixtures("sends")
def test_what_cannot_be_added_says_so(client: FlaskClient, of: Administrators, name: str) -> None:
    token = become(client, of)
    assert client.get(f"/setup/stations/{name}").status_code == 404
    answer = client.post(f"/setup/stations/{name}", data={"token": token, **FORM})
    assert answer.status_code == 404


def test_a_damaged_file_makes_no_administrator(
    client: FlaskClient, of: Administrators, settings: Settings
) -> None:
    become(client, of)
    (settings.data_dir / NAME).write_text("{")
    assert "admin-link" in client.get("/setup").text
    become(client, of)


@pytest.mark.parametrize("links", ["[]", '"x"', "null", "7"])
def test_a_file_of_another_form_makes_none_either(
    client: FlaskClient, of: Administrators, settings: Settings, links: str
) -> None:
    become(client, of)
    text = f'{{"made": {links}, "browsers": [], "last_number": 1}}'
    (settings.data_dir / NAME).write_text(text)
    assert client.post("/setup/link", data={"link": "x"}).status_code == 404
    become(client, of)


@pytest.mark.parametrize("body", ['{"t": 1, "TempUnit": "\\ud800"}', '{"t": 1, "x\\ud800": 1}'])
def test_what_no_text_can_have_is_shown_by_its_number(
    client: FlaskClient, writer: Writer, body: str
) -> None:
    client.post("/freezer", data=body)
    writer.rejected_queue.finish()
    answer = client.get("/setup/stations/freezer")
    assert answer.status_code == 200 and "ud800" in answer.text


@pytest.mark.parametrize("number", ["", "x", "²", "9" * 5000, "7\n"])
def test_no_browser_has_such_a_number(client: FlaskClient, of: Administrators, number: str) -> None:
    token = become(client, of)
    assert client.post("/setup/end", data={"token": token, "number": number}).status_code == 303
    assert len(of.browsers) == 1


@pytest.mark.usefixtures("sends")
def test_a_full_disk_is_said_and_keeps_no_page_from_being_read(
    client: FlaskClient,
    of: Administrators,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token, link = become(client, of), of.new_link(clock.now_ms())
    put_in_place = own_files.put_in_place

    def full(path: Path, *_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    def only_of_stations(path: Path, *taken: Any) -> None:
        (put_in_place if path.name.startswith("stations.toml") else full)(path, *taken)

    monkeypatch.setattr(own_files, "put_in_place", full)
    now_ms = clock.now_ms()
    with monkeypatch.context() as later:
        later.setattr(clock, "now_ms", lambda: now_ms + 2 * module.USED_EVERY_MS)
        assert "this browser" in client.get("/setup").text
    answer = client.post("/setup/link", data={"token": token, "link": link})
    assert answer.status_code == 503 and "No space left on device" in answer.text
    added = client.post("/setup/stations/freezer", data={"token": token, **FORM})
    assert added.status_code == 400 and "No space left on device" in added.text
    # What could not be undone later is not done.
    monkeypatch.setattr(own_files, "put_in_place", only_of_stations)
    added = client.post("/setup/stations/freezer", data={"token": token, **FORM})
    assert added.status_code == 400 and of.changes == []
    assert not stations_file(settings).exists()


def test_each_form_is_refused_to_a_stranger(app: Flask) -> None:
    adapter, client = app.url_map.bind(""), app.test_client()
    forms = [r for r in app.url_map.iter_rules() if r.endpoint.startswith("setup.")]
    answers = {}
    for rule in forms:
        # A link makes a browser an administrator's.
        if "POST" in (rule.methods or ()) and rule.endpoint != "setup.begin":
            url = adapter.build(rule.endpoint, dict.fromkeys(rule.arguments, "x"), "POST")
            answers[rule.endpoint] = client.post(url, data={"token": "0" * 64}).status_code
    assert len(answers) > 10 and {*answers.values()} == {403}, answers


def test_without_the_pages_there_is_nothing_to_attack(make_app: MakeApp) -> None:
    client = make_app(SETUP="off").test_client()
    for path in ("/setup/link", "/setup/end", "/setup/undo", "/setup/stations/x"):
        assert client.post(path).status_code == 404


def test_of_an_item_of_a_batch_only_its_measurements_are_proposed(
    client: FlaskClient, writer: Writer
) -> None:
    assert (
        client.post("/freezer", json={"data": {"temperature": -18}, "age_s": 3}).status_code == 404
    )
    writer.rejected_queue.finish()
    page = client.get("/setup/stations/freezer").text
    assert "<code>temperature</code>" in page and "data.temperature" not in page


@pytest.mark.usefixtures("sends")
def test_a_file_that_was_edited_since_the_page_was_made_stays(
    client: FlaskClient, of: Administrators, settings: Settings
) -> None:
    path, token = stations_file(settings), become(client, of)
    path.write_text("# Before.\n")
    form = {"token": token, "file": digest_of(b"# Before.\n"), **FORM}
    path.write_text("# By hand.\n")
    answer = client.post("/setup/stations/freezer", data=form)
    assert answer.status_code == 409 and path.read_text() == "# By hand.\n"
    assert "was changed since the page was loaded" in answer.text and of.changes == []
    form["file"] = digest_of(b"# By hand.\n")
    assert client.post("/setup/stations/freezer", data=form).status_code == 303
    assert path.read_text().startswith("# By hand.\n\n[stations.freezer]")
    assert path.with_name("stations.toml.before").read_text() == "# By hand.\n"


def form_of(page: str) -> dict[str, str]:
    """What a browser would send of the form of a station: its texts, and the boxes checked."""
    form = page.partition('id="add"')[2].partition("</form>")[0]
    fields = {}
    for tag in re.findall(r"<input [^>]*>", form):
        name = re.search(r'name="([^"]*)"', tag)
        value = re.search(r'value="([^"]*)"', tag)
        if name and ("checkbox" not in tag or " checked" in tag):
            fields[name[1]] = html.unescape(value[1]) if value else ""
    return fields


@pytest.mark.usefixtures("sends")
@pytest.mark.parametrize(
    ("path", "view"),
    [
        ("/", "home.as_page"),
        ("/status", "status_page.as_page"),
        ("/setup/stations", "setup.as_stations"),
    ],
)
def test_a_board_that_sends_is_offered_in_a_sentence(
    client: FlaskClient, path: str, view: str
) -> None:
    page = client.get(path)
    assert "freezer is sending: temperature −18.2, battery 3.1V. Add it?" in words(page.text)
    assert f'href="/setup/stations/freezer?back={view}"' in page.text
    japanese = words(client.get(path, headers={"Accept-Language": "ja"}).text)
    assert "freezer から受信しています（温度 −18.2、電池電圧 3.1V）" in japanese
    assert "is sending" not in client.get("/?kiosk=1").text


def test_what_is_offered_can_be_added_at_once(client: FlaskClient, of: Administrators) -> None:
    token = become(client, of)
    assert client.post("/freezer", data=BODY).status_code == 404
    page = client.get("/setup/stations/freezer")
    assert page.status_code == 200 and "-18.2" in words(page.text).replace("−", "-")
    added = client.post("/setup/stations/freezer", data={**form_of(page.text), "token": token})
    assert added.status_code == 303


def test_only_a_board_that_sends_numbers_now_is_offered(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for body in ("[]", "{}", '{"name": "x"}', "no JSON", '{"t": 1' + " " * 500 + "}"):
        client.post("/freezer", data=body)
        assert "is sending" not in client.get("/").text
    client.post("/freezer", data='{"t": 1}')
    assert "freezer is sending: t 1." in words(client.get("/").text)
    now_ms = clock.now_ms()
    monkeypatch.setattr(clock, "now_ms", lambda: now_ms + SENDING_MS + 1)
    assert "is sending" not in client.get("/").text


def test_what_strangers_send_is_text(client: FlaskClient) -> None:
    client.post("/freezer", json={"<script>alert(1)</script>": 1, "t": "1<b>"})
    page = client.get("/").text
    assert "<script>alert" not in page and "&lt;script&gt;" in page


def test_home_does_not_offer_without_the_pages_of_the_setup(make_app: MakeApp) -> None:
    client = make_app(SETUP="off").test_client()
    client.post("/freezer", data=BODY)
    assert "is sending" not in client.get("/").text


@pytest.mark.usefixtures("sends")
def test_the_form_proposes_names_and_everything_can_be_edited(
    client: FlaskClient, of: Administrators, settings: Settings
) -> None:
    token = become(client, of)
    form = form_of(client.get("/setup/stations/freezer").text)
    assert form["token"] == token
    assert (form["label"], form["label_ja"]) == ("Freezer", "冷凍庫")
    assert form["csv_file"] == "freezer.csv" and form["replay"] == "1"
    assert [form[f"{name}-0"] for name in ("unit", "minimum", "maximum")] == ["°C", "-50", "150"]
    edits = {
        "csv_file": "Cold.csv",
        "minimum-0": "−30",
        "maximum-0": "１０",
        "label-1": "Cell",
        "label_ja-1": "電池",
        "unit-1": "mV",
        "minimum-1": "",
    }
    assert client.post("/setup/stations/freezer", data=form | edits).status_code == 303
    stations = station_file.load(stations_file(settings))
    station = stations.by_endpoint["freezer"]
    assert station.csv_name == "Cold.csv"
    cold, cell = station.measurements
    assert (cold.column, cold.minimum, cold.maximum) == ("temperature", -30, 10)
    assert (cell.label, cell.label_ja, cell.unit) == ("Cell", "電池", "mV")
    assert (cell.path, cell.minimum) == ("battery", None)


@pytest.mark.usefixtures("sends")
@pytest.mark.parametrize(
    ("field", "text", "reason"),
    [
        ("csv_file", "../x.csv", "a name such as Balcony.csv is needed, without a folder"),
        ("csv_file", "bedroomenv.csv", "bedroomenv.csv is the file of /data2"),
        ("minimum-0", "cold", "a number is needed"),
        ("minimum-0", "1e999", "a number is needed"),
        ("maximum-0", "-60", "has to be above the least value"),
        ("unit-0", "9", "a unit begins with no digit, sign or point"),
        ("unit-0", "C", 'write it "°C"'),
        (
            "label-1",
            "x" * 65,
            "a text of 1 to 64 characters is needed, in one line, no blank at either end",
        ),
    ],
)
def test_a_mistake_is_said_at_its_field(
    client: FlaskClient, of: Administrators, settings: Settings, field: str, text: str, reason: str
) -> None:
    become(client, of)
    form = form_of(client.get("/setup/stations/freezer").text) | {field: text, "label": "Mine"}
    answer = client.post("/setup/stations/freezer", data=form)
    assert answer.status_code == 400
    assert f'id="error-{field}">{escape(reason)}<' in answer.text
    again = form_of(answer.text)
    assert again[field] == text and again["label"] == "Mine"
    assert not stations_file(settings).exists()


@pytest.mark.usefixtures("sends")
def test_only_the_chosen_measurements_are_taken(
    client: FlaskClient, of: Administrators, settings: Settings
) -> None:
    become(client, of)
    form = form_of(client.get("/setup/stations/freezer").text)
    none = {name: text for name, text in form.items() if not name.startswith("take-")}
    answer = client.post("/setup/stations/freezer", data=none)
    assert answer.status_code == 400 and "choose at least one measurement" in answer.text
    # Those that are not chosen stay in the form, and the others keep their fields.
    wrong = none | {"take-1": "1", "label": ""}
    del wrong["replay"]
    answer = client.post("/setup/stations/freezer", data=wrong)
    assert (answer.status_code, form_of(answer.text)) == (400, wrong)
    one = client.post("/setup/stations/freezer", data=none | {"take-1": "1"})
    assert one.status_code == 303
    station = station_file.load(stations_file(settings)).by_endpoint["freezer"]
    assert [m.path for m in station.measurements] == ["battery"]


@pytest.mark.usefixtures("sends")
def test_a_sender_is_ignored_and_offered_again(
    client: FlaskClient, of: Administrators, settings: Settings, make_settings: MakeSettings
) -> None:
    token = become(client, of)
    path = "/setup/stations/freezer/ignore"
    assert client.post(path, data={}).status_code == 403
    assert client.post(path, data={"token": token}).status_code == 303
    assert make_settings().ignored_senders == ("freezer",)
    assert of.changes[0].kind == "ignored"
    assert client.post(path, data={"token": token, "again": "1"}).status_code == 303
    assert make_settings().ignored_senders == ()
    for name in ("data", "..", "a%22b"):
        answer = client.post(f"/setup/stations/{name}/ignore", data={"token": token})
        assert answer.status_code == 404
    written = schema_line("settings") + 'ignored_senders = ""\n'
    assert (settings.data_dir / "settings.toml").read_text() == written


def test_a_change_that_comes_second_leaves_the_former_version_alone(tmp_path: Path) -> None:
    """Or two at once remove each other's half-written files."""
    path, before = tmp_path / "a.toml", tmp_path / "a.toml.before"
    path.write_bytes(b"one")
    setup_files.replace(FileChange(path, b"one", b"two"))
    with pytest.raises(SettingsError):
        setup_files.replace(FileChange(path, b"zero", b"three"))
    assert (path.read_bytes(), before.read_bytes()) == (b"two", b"one")


@pytest.mark.usefixtures("sends")
def test_what_was_killed_before_its_end_is_ended_by_the_next_try(
    client: FlaskClient,
    of: Administrators,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token, reloads = become(client, of), list[Settings]()
    monkeypatch.setattr(changes, "reload", reloads.append)
    # The file was written, and neither noted nor read.
    (settings.data_dir / "settings.toml").write_text('house_name = "Ours"\n')
    client.post("/setup/house", data={"token": token, "house_name": "Ours"})
    assert len(reloads) == 1 and not of.changes
    client.post("/setup/stations/freezer", data={"token": token, **FORM})
    stations_file(settings).unlink()
    undo = {"token": token, "number": of.changes[0].number}
    assert client.post("/setup/undo", data=undo).status_code == 303
    assert of.changes[0].undone_ms and len(reloads) == 3


def test_senders_that_were_ignored_a_moment_ago_stay_so(
    client: FlaskClient, of: Administrators, settings: Settings
) -> None:
    """The workers read the file some time after it was written; and keys may be in capitals."""
    token = become(client, of)
    file = settings.data_dir / "settings.toml"
    file.write_text('IGNORED_SENDERS = "car"\n')
    for name in ("shed", "freezer"):
        client.post(f"/setup/stations/{name}/ignore", data={"token": token})
    assert file.read_text() == 'IGNORED_SENDERS = "car,freezer,shed"\n'


@pytest.mark.parametrize("wrong", [b"[x\n", b'x = "\xe9"\n', b"ignored_senders = 3\n"])
def test_a_file_of_settings_with_mistakes_is_named_and_stays(
    client: FlaskClient, of: Administrators, settings: Settings, wrong: bytes
) -> None:
    token = become(client, of)
    file = settings.data_dir / "settings.toml"
    file.write_bytes(wrong)
    for path in ("files/retention", "stations/freezer/ignore"):
        form = {"token": token, "days": "800"}
        answer = client.post(f"/setup/{path}", data=form)
        assert answer.status_code == 409 and file.name in answer.text
    assert file.read_bytes() == wrong


@pytest.mark.parametrize(
    ("file", "changes_it"),
    [("stations.toml", "stations"), ("alerts.toml", "notifications"), ("settings.toml", "house")],
)
@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_what_is_no_file_is_named_and_keeps_no_request_waiting(
    client: FlaskClient,
    of: Administrators,
    settings: Settings,
    make_settings: MakeSettings,
    file: str,
    changes_it: str,
    kind: str,
) -> None:
    token, path = become(client, of), settings.data_dir / file
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    said = f"{path} is a {kind}, not a file"
    if kind == "folder":
        said = f"cannot read {path}: Is a directory"
    for page in ("", "/house", "/stations", "/stations/data2", "/notifications"):
        answer = client.get(f"/setup{page}")
        assert answer.status_code == 200 or (answer.status_code == 409 and said in answer.text)
    form = {"token": token, "house_name": "Ours", "order": "data2", "language": "ja"}
    answer = client.post(f"/setup/{changes_it}", data=form)
    assert answer.status_code == 409 and said in answer.text
    assert not path.is_file() and os.path.lexists(path) and of.changes == []
    with pytest.raises(SettingsError, match=re.escape(said)):
        make_settings()


def test_an_ignored_sender_is_not_offered(make_app: MakeApp) -> None:
    client = make_app(IGNORED_SENDERS="freezer").test_client()
    client.post("/freezer", data=BODY)
    client.post("/shed", data=BODY)
    shown = words(client.get("/setup/stations").text)
    assert "freezer is sending" not in shown and "shed is sending" in shown
    assert "Ignored: freezer" in shown


def test_a_setting_of_the_environment_is_not_changed_in_vain(
    make_app: MakeApp, of: Administrators
) -> None:
    client = make_app(IGNORED_SENDERS="shed").test_client()
    token = become(client, of)
    answer = client.post("/setup/stations/freezer/ignore", data={"token": token})
    assert answer.status_code == 409 and "FLASK10X_IGNORED_SENDERS" in answer.text


def test_all_that_was_refused_is_stored_even_what_comes_from_another_worker_later(
    client: FlaskClient,
    of: Administrators,
    writer: Writer,
    make_settings: MakeSettings,
    database: Database,
) -> None:
    for number in range(500):
        body = {"temperature": number % 30, "battery": 3.1}
        assert client.post("/freezer", json=body).status_code == 404
    writer.rejected_queue.finish()
    become(client, of)
    page = client.get("/setup/stations/freezer").text
    assert "Store the 500 readings that were refused meanwhile From " in words(page)
    for _ in range(2):
        client.post("/setup/stations/freezer", data=form_of(page))
    client.post("/freezer", json={"temperature": 31, "battery": 3.1})
    # As the reload does.
    add_missing(database, make_settings().stations)
    now = [0.0]
    after = AddedStations(make_settings(), database, lambda: now[0])
    stored = "SELECT count(*) FROM readings"
    for now[0] in (SETTLED_SEC, SETTLED_SEC + 1):
        after.step()
        assert select(database.path, stored) == [(500,)]
    # The worker of before ends late.
    client.post("/freezer", json={"temperature": 32, "battery": 3.1})
    writer.rejected_queue.finish()
    restarted = AddedStations(make_settings(), database, lambda: now[0])
    for pause_sec in (1, 2 * AGAIN_SEC, AGAIN_SEC):
        now[0] += pause_sec
        after.step()
        restarted.step()
    assert select(database.path, stored) == [(501,)]
    assert "501 readings that were refused before are stored." in words(client.get("/setup").text)


@pytest.mark.usefixtures("sends")
def test_what_was_refused_is_stored_once_the_station_is_in_force(
    client: FlaskClient,
    of: Administrators,
    make_settings: MakeSettings,
    settings: Settings,
    database: Database,
) -> None:
    become(client, of)
    page = client.get("/setup/stations/freezer").text
    assert "Store the 1 reading that was refused meanwhile" in words(page)
    client.post("/setup/stations/freezer", data=form_of(page))
    assert "are stored within 20 seconds" in words(client.get("/setup").text)
    # As the reload does.
    add_missing(database, make_settings().stations)
    now = [0.0]
    # The worker of before does not know the station.
    before = AddedStations(settings, database, lambda: now[0])
    after = AddedStations(make_settings(), database, lambda: now[0])
    after.step()
    assert of.changes[0].stored is None
    now[0] = SETTLED_SEC
    before.step()
    assert of.changes[0].stored is None
    for _ in range(2):
        after.step()
    assert select(database.path, "SELECT endpoint, temperature FROM readings") == [
        ("freezer", -18.2)
    ]
    assert of.changes[0].stored == 1
    assert "1 reading that was refused before is stored." in words(client.get("/setup").text)


def test_a_change_is_said_where_it_was_made_and_can_be_undone_there(
    client: FlaskClient, of: Administrators, settings: Settings
) -> None:
    token = become(client, of)
    rule = {"token": token, "kind": "threshold", "about": "data2.co2", "direction": "above"}
    rule |= {"value": "1500", "clear": "1200", "for_min": "10", "do": "save"}
    answer = client.post("/setup/notifications/rule", data=rule)
    page = client.get(answer.headers["Location"])
    # In words, not by the name in the file.
    shown = words(page.text.partition('class="changed" role="status">')[2].partition("</div>")[0])
    assert shown.startswith("A rule was added: Bedroom CO₂ above 1500 ppm for 10 min")
    assert "data2_co2_above" not in shown
    form = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.text.partition("/setup/undo")[2]))
    form = {name: form[name] for name in ("token", "number", "back")}
    assert form["back"] == "setup.as_notifications"
    # The same once more is another change.
    answer = client.post(
        "/setup/notifications/rule", data=rule | {"name": "data2_co2_above", "value": "1600"}
    )
    changed = words(client.get(answer.headers["Location"]).text)
    assert "The rule was changed: Bedroom CO₂ above 1600 ppm" in changed
    # Nobody else sees it, and an older change is undone after the later one.
    stranger = client.application.test_client()
    assert "A rule was" not in stranger.get(answer.headers["Location"]).text
    assert client.post("/setup/undo", data=form).status_code == 409
    answer = client.post("/setup/undo", data=form | {"number": "2"})
    assert answer.headers["Location"] == "/setup/notifications?changed=2"
    assert "Undone. The rule was changed: Bedroom" in words(
        client.get("/setup/notifications?changed=2").text
    )
    client.post("/setup/undo", data=form)
    assert not (settings.data_dir / "alerts.toml").exists()
    # Of one that was never in a file that is kept only its name is known.
    assert "A rule was added: data2_co2_above" in words(client.get("/setup#changes").text)
    for number in ("99", "x"):
        page = client.get(f"/setup/notifications?changed={number}")
        assert page.status_code == 200 and 'class="changed"' not in page.text


def test_a_service_that_reads_changes_by_itself_asks_for_no_restart(
    client: FlaskClient, of: Administrators, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = become(client, of)
    client.post("/setup/house", data={"token": token, "house_name": "Hut"})
    assert "A change takes effect after a restart." in words(client.get("/setup").text)
    service = Running(pid=str(os.getppid()), bind="", since=0.0)
    monkeypatch.setattr(setup_files, "running", lambda _settings: service)
    page = words(client.get("/setup").text)
    assert "A change takes effect within 2 seconds." in page and "after a restart" not in page
