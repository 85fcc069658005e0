"""A browser becomes an administrator's, adds a station that sends, and takes it back."""

import errno
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask10x.config.settings import Settings
from flask10x.recording.writer import Writer
from flask10x.runtime import administrators as module
from flask10x.runtime.administrators import NAME, Administrators, digest_of
from flask10x.system import clock, own_files
from flask10x.web.administrators import COOKIE
from tests.conftest import MakeApp
from tests.support.html import words

BODY = '{"temperature": -18.2, "battery": "3.1V", "note": "<b>cold</b>"}'
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
    assert "/setup/stations/freezer" in client.get("/devices").text
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


@pytest.mark.parametrize("name", ["data", "nothing", "Freezer", "..%2Fx", "metrics"])
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
    text = f'{{"links": {links}, "browsers": [], "changes": [], "last_number": 1}}'
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
        (full if path.name == NAME else put_in_place)(path, *taken)

    monkeypatch.setattr(own_files, "put_in_place", full)
    now_ms = clock.now_ms()
    with monkeypatch.context() as later:
        later.setattr(clock, "now_ms", lambda: now_ms + 2 * module.USED_EVERY_MS)
        assert "this browser" in client.get("/setup").text
    for path, name, value in [("link", "link", link), ("end", "number", of.browsers[0].number)]:
        answer = client.post(f"/setup/{path}", data={"token": token, name: value})
        assert answer.status_code == 503 and "No space left on device" in answer.text
    added = client.post("/setup/stations/freezer", data={"token": token, **FORM})
    assert added.status_code == 400 and "No space left on device" in added.text
    # The file is changed: that its former text is not kept does not say otherwise.
    monkeypatch.setattr(own_files, "put_in_place", only_of_stations)
    added = client.post("/setup/stations/freezer", data={"token": token, **FORM})
    assert added.status_code == 303 and of.changes == []
    assert "[stations.freezer]" in stations_file(settings).read_text()


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
def test_a_file_that_was_edited_since_the_page_was_made_is_shown_with_what_would_become_of_it(
    client: FlaskClient, of: Administrators, settings: Settings
) -> None:
    path, token = stations_file(settings), become(client, of)
    path.write_text("# Before.\n")
    form = {"token": token, "file": digest_of(b"# Before.\n"), **FORM}
    path.write_text("# By hand.\n")
    answer = client.post("/setup/stations/freezer", data=form)
    assert answer.status_code == 409 and path.read_text() == "# By hand.\n"
    assert "+[stations.freezer]" in answer.text and "# By hand." in answer.text
    # The button of that page has all that was typed, and the file as it is now.
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', answer.text))
    assert fields["label"] == FORM["label"] and fields["label_ja"] == FORM["label_ja"]
    assert client.post("/setup/stations/freezer", data=fields).status_code == 303
    assert path.read_text().startswith("# By hand.\n\n[stations.freezer]")
    assert path.with_name("stations.toml.before").read_text() == "# By hand.\n"
