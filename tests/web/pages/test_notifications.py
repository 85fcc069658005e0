"""`/setup/notifications`: channels with their secrets, rules, times, and what must not leak."""

import errno
import html
import json
import re
import stat
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from markupsafe import escape

from flask10x.alerts.delivery import jobs
from flask10x.config.house import SECRETS
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.paths import database_path
from flask10x.runtime.administrators import Administrators
from flask10x.system import clock, disk
from flask10x.translation import translation
from flask10x.web.administrators import COOKIE
from flask10x.web.pages.setup import channels
from flask10x.web.pages.setup.channels import SERVICES
from tests.conftest import MakeApp
from tests.support.html import words
from tests.support.receiver import Receiver, answering, receiving
from tests.support.rows import insert_series
from tests.web.pages.conftest import Runs
from tests.web.pages.test_administrators import become

PAGE = "/setup/notifications"
TOKEN = "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw4Q0123456789"
USER = "U0123456789abcdef0123456789abcdef"
SECRET = "s3cret-of-the-house"
MAIL = {"to": "family@example.org", "server": "smtp.example.org", "user": "me@example.org"}
HOUR_MS = 3_600_000
EACH_KIND = """
[rules.silence]
stations = ["data", "data3"]
after_min = 0.5
[rules.cold]
kind = "threshold"
station = "data3"
measurement = "temperature"
below = -2.5
clear = 0
from = "18:00"
to = "09:00"
[rules.same]
kind = "stuck"
station = "data3"
measurement = "humidity"
for_min = 180
[rules.window]
kind = "rate"
station = "data2"
measurement = "temperature"
fall = 3
within_min = 15
[rules.failed_sensor]
stations = ["data4"]
[rules.rejected]
readings = 20
[rules.queue]
[rules.disk]
free_percent = 2.5
[rules.database]
[rules.export]
after_h = 72
[rules.backup]
after_h = 30.5
[rules.replica]
after_min = 90
"""


@pytest.fixture
def of(settings: Settings) -> Administrators:
    return Administrators(settings)


@pytest.fixture
def token(client: FlaskClient, of: Administrators) -> str:
    return become(client, of)


@pytest.fixture(scope="module")
def shared() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def receiver(shared: Receiver) -> Receiver:
    shared.received.clear()
    shared.answers = [answering(200)]
    return shared


@pytest.fixture
def open_client(make_app: MakeApp, database: object) -> FlaskClient:
    """Of a service whose messages may go to this machine."""
    assert database
    return make_app(NOTIFY_HOSTS="127.0.0.1").test_client()


def alerts_of(settings: Settings) -> dict[str, Any]:
    return tomllib.loads((settings.data_dir / "alerts.toml").read_text())


def secrets_of(settings: Settings) -> list[Path]:
    folder = settings.data_dir / SECRETS
    return sorted(folder.iterdir()) if folder.is_dir() else []


def line(token: str, **more: str) -> dict[str, str]:
    form = {"token": token, "kind": "line", "new": "phone", "user": USER}
    return form | {"secret": TOKEN} | more


def webhook(token: str, url: str, **more: str) -> dict[str, str]:
    return {"token": token, "kind": "webhook", "new": "house", "url": url} | more


def limit(token: str, **more: Any) -> dict[str, Any]:
    form = {"token": token, "kind": "threshold", "about": "data2.co2", "direction": "above"}
    return form | {"value": "1500", "clear": "1200", "for_min": "10", "do": "save"} | more


def test_a_channel_is_made_and_its_secret_is_in_a_private_file_only(
    client: FlaskClient, of: Administrators, settings: Settings, token: str
) -> None:
    assert client.post(f"{PAGE}/channel", data=line(token)).status_code == 303
    (path,) = secrets_of(settings)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.read_text() == f"line://{TOKEN}/{USER}\n"
    assert alerts_of(settings) == {
        "language": "en",
        "channels": {"phone": {"kind": "apprise", "urls_file": str(path), "loopback": False}},
    }
    page = client.get(PAGE).text
    assert "phone" in page and "LINE" in page
    (change,) = of.changes
    assert client.post("/setup/undo", data={"token": token, "number": change.number})
    assert not (settings.data_dir / "alerts.toml").exists()


def test_what_is_left_empty_is_kept_and_undoing_brings_the_former_secret_back(
    client: FlaskClient, of: Administrators, settings: Settings, token: str
) -> None:
    client.post(f"{PAGE}/channel", data=line(token))
    form = {"token": token, "kind": "line", "name": "phone", "language": "ja"}
    assert client.post(f"{PAGE}/channel", data={**form, "daily_max": "5"}).status_code == 303
    first = alerts_of(settings)["channels"]["phone"]
    assert (first["language"], first["daily_max"]) == ("ja", 5)
    assert len(secrets_of(settings)) == 1
    other = line(token, name="phone", secret=TOKEN[::-1])
    assert client.post(f"{PAGE}/channel", data=other).status_code == 303
    assert alerts_of(settings)["channels"]["phone"]["urls_file"] != first["urls_file"]
    client.post("/setup/undo", data={"token": token, "number": of.changes[0].number})
    assert alerts_of(settings)["channels"]["phone"] == first
    assert TOKEN in Path(first["urls_file"]).read_text()


@pytest.mark.parametrize(
    "url",
    [
        f"tgram://123456789:{TOKEN[:35]}/987654321",
        "discord://123456789012345678/" + "a" * 68,
        "https://discord.com/api/webhooks/123456789012345678/" + "a" * 68,
        "https://hooks.slack.com/services/T0123ABCD/B0123ABCD/" + "a" * 24,
        "mqtt://user:secret@pi.local:1883/house/alerts",
    ],
)
def test_a_channel_by_a_url_that_has_no_form_of_its_own_keeps_what_is_not_changed(
    client: FlaskClient, settings: Settings, token: str, tmp_path: Path, url: str
) -> None:
    (tmp_path / "urls").write_text(f"{url}\n")
    keys = {"kind": "apprise", "urls_file": str(tmp_path / "urls"), "loopback": True}
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
    file = settings.data_dir / "alerts.toml"
    file.write_text(f"# Ours.\n[channels.chat]\ndaily_max = 9\n{text}")
    assert "chat" in client.get(PAGE).text
    page = client.get(f"{PAGE}/channel?name=chat").text
    assert 'name="kind" value="apprise"' in page and url not in page
    form = {"token": token, "kind": "apprise", "name": "chat", "secret": "", "language": "ja"}
    assert client.post(f"{PAGE}/channel", data=form | {"daily_max": "5"}).status_code == 303
    changed = alerts_of(settings)["channels"]["chat"]
    assert changed == {**keys, "language": "ja", "daily_max": 5} and "# Ours." in file.read_text()
    assert (tmp_path / "urls").read_text() == f"{url}\n"


def test_a_secret_that_was_typed_is_not_kept_when_the_file_has_changed(
    client: FlaskClient, settings: Settings, token: str
) -> None:
    answer = client.post(f"{PAGE}/channel", data=line(token, file="0" * 64))
    assert answer.status_code == 409 and "alerts.toml was changed since" in answer.text
    assert TOKEN not in answer.text and not secrets_of(settings)


def test_secrets_that_nothing_names_any_more_are_removed(
    client: FlaskClient,
    of: Administrators,
    settings: Settings,
    token: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client.post(f"{PAGE}/channel", data=line(token))
    client.post("/setup/undo", data={"token": token, "number": of.changes[0].number})
    assert len(secrets_of(settings)) == 1
    monkeypatch.setattr(channels, "UNUSED_AFTER_SEC", -1)
    client.post(f"{PAGE}/rule", data=limit(token))
    assert secrets_of(settings) == []


def test_no_page_file_or_log_has_a_secret(
    client: FlaskClient,
    of: Administrators,
    settings: Settings,
    token: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    client.post(f"{PAGE}/channel", data=line(token))
    client.post(
        f"{PAGE}/channel", data=webhook(token, f"https://example.org/{TOKEN}", secret=SECRET)
    )
    mail = {"token": token, "kind": "mail", "new": "mail", "secret": f"{SECRET}!", **MAIL}
    client.post(f"{PAGE}/channel", data=mail)
    client.post(f"{PAGE}/switch", data={"token": token, "name": "disk", "on": "0"})
    client.post("/setup/undo", data={"token": token, "number": of.changes[0].number})
    old = line(token, new="other", file="0" * 64)
    refused = client.post(f"{PAGE}/channel", data=old)
    assert refused.status_code == 409
    assert TOKEN not in refused.text
    assert len(secrets_of(settings)) == 4
    pages = [f"{PAGE}/channel?name={name}" for name in ("phone", "house", "mail")]
    for page in (PAGE, "/setup", "/alerts", "/status", "/api/v1/alerts", *pages):
        text = client.get(page).text
        assert TOKEN not in text and SECRET not in text, page
    for path in settings.data_dir.rglob("*"):
        if path.is_file() and path.parent.name != SECRETS:
            content = path.read_bytes()
            assert TOKEN.encode() not in content and SECRET.encode() not in content, path
    assert TOKEN not in caplog.text and SECRET not in caplog.text


def test_a_webhook_gets_a_test_where_its_host_may_be_reached(
    open_client: FlaskClient, of: Administrators, receiver: Receiver
) -> None:
    token = become(open_client, of)
    made = open_client.post(f"{PAGE}/channel", data=webhook(token, receiver.url, secret=SECRET))
    assert made.status_code == 303
    sent = open_client.post(f"{PAGE}/test", data={"token": token, "name": "house"})
    assert "house: the test was sent and accepted" in words(sent.text)
    (request,) = receiver.received
    assert request.json()["occasion"] == "test" and "X-Flask10X-Signature" in request.headers
    receiver.answers = [answering(500)]
    failed = open_client.post(f"{PAGE}/test", data={"token": token, "name": "house"})
    assert "the test did not arrive: it answered 500" in words(failed.text)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "[::1]", "2130706433"])
def test_a_webhook_does_not_reach_this_machine_by_any_name(
    client: FlaskClient, token: str, receiver: Receiver, host: str
) -> None:
    url = f"http://{host}:{receiver.port}/"
    assert client.post(f"{PAGE}/channel", data=webhook(token, url)).status_code == 303
    answer = client.post(f"{PAGE}/test", data={"token": token, "name": "house"})
    assert "messages may not go to this host" in words(answer.text)
    assert receiver.received == []


def test_only_hosts_of_the_list_are_reached_and_redirects_are_not_followed(
    open_client: FlaskClient, of: Administrators, receiver: Receiver
) -> None:
    token = become(open_client, of)
    with receiving() as other:
        url = f"http://localhost:{other.port}/"
        open_client.post(f"{PAGE}/channel", data=webhook(token, url))
        answer = open_client.post(f"{PAGE}/test", data={"token": token, "name": "house"})
        assert "messages may not go to this host" in words(answer.text)
        head = f"HTTP/1.1 302 X\r\nLocation: {other.url}\r\nContent-Length: 0\r\n\r\n"
        receiver.answers = [head.encode()]
        form = webhook(token, receiver.url, name="house")
        open_client.post(f"{PAGE}/channel", data=form)
        answer = open_client.post(f"{PAGE}/test", data={"token": token, "name": "house"})
        assert "it answered 302" in words(answer.text)
        assert other.received == [] and len(receiver.received) == 1


def test_a_topic_of_ntfy_is_made_up_and_gets_a_test_without_a_library(
    open_client: FlaskClient,
    of: Administrators,
    settings: Settings,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = become(open_client, of)
    monkeypatch.setattr(channels, "find_spec", lambda _name: None)
    (settings.data_dir / "settings.toml").write_text('house_name = "山の家"\n')
    page = open_client.get(f"{PAGE}/channel?kind=ntfy").text
    match = re.search('name="topic" value="(house-[a-z2-7]{12})"', page)
    assert match and f"<code>{match[1]}</code>" in page and "<svg" in page.partition("phone")[2]
    # The same again: somebody may have subscribed to it.
    assert match[1] in open_client.get(f"{PAGE}/channel?kind=ntfy").text
    server = f"http://127.0.0.1:{receiver.port}"
    form = {"token": token, "kind": "ntfy", "new": "phone", "topic": match[1], "server": server}
    answer = open_client.post(f"{PAGE}/channel", data=form | {"secret": "tk_of_the_topic"})
    assert answer.status_code == 303
    texts = [path.read_text().strip() for path in secrets_of(settings)]
    assert sorted(texts) == sorted([f"{server}/{match[1]}", "tk_of_the_topic"])
    assert match[1] not in (settings.data_dir / "alerts.toml").read_text()
    page = open_client.get(f"{PAGE}/channel?kind=ntfy").text
    assert match[1] not in page and 'value="house-' in page
    answer = open_client.post(f"{PAGE}/test", data={"token": token, "name": "phone"})
    assert "the test was sent and accepted" in words(answer.text)
    (request,) = receiver.received
    assert request.target == "/" and request.headers["Authorization"] == "Bearer tk_of_the_topic"
    sent = request.json()
    assert sent["topic"] == match[1] and "phone" in sent["message"]
    # An empty topic keeps that of before, and its token with it.
    before = alerts_of(settings)["channels"]["phone"]
    form = {"token": token, "kind": "ntfy", "name": "phone", "topic": "", "daily_max": "5"}
    assert open_client.post(f"{PAGE}/channel", data=form).status_code == 303
    assert alerts_of(settings)["channels"]["phone"] == before | {"daily_max": 5}


def test_an_address_that_was_in_the_file_works_and_goes_into_a_private_one(
    open_client: FlaskClient, of: Administrators, receiver: Receiver
) -> None:
    token = become(open_client, of)
    settings: Settings = open_client.application.extensions["flask10x"].settings
    path = settings.data_dir / "alerts.toml"
    # As a former version called it; the change gives it its name of now.
    path.write_text(f'[ways.house]\nkind = "webhook"\nurl = "{receiver.url}/{TOKEN}"\n')
    test = {"token": token, "name": "house"}
    assert "sent and accepted" in words(open_client.post(f"{PAGE}/test", data=test).text)
    # The form has it no more, and what is left empty stays.
    form = webhook(token, "", name="house", daily_max="5")
    assert open_client.post(f"{PAGE}/channel", data=form).status_code == 303
    (way,) = alerts_of(settings)["channels"].values()
    assert (way["daily_max"], "url" in way, "loopback" in way) == (5, False, False)
    (secret,) = secrets_of(settings)
    assert way["url_file"] == str(secret) and secret.stat().st_mode & 0o777 == 0o600
    assert secret.read_text() == f"{receiver.url}/{TOKEN}\n" and TOKEN not in path.read_text()
    assert "sent and accepted" in words(open_client.post(f"{PAGE}/test", data=test).text)
    # Another address is another receiver, which may not be this machine by itself.
    form = webhook(token, "https://example.org/other", name="house")
    assert open_client.post(f"{PAGE}/channel", data=form).status_code == 303
    (way,) = alerts_of(settings)["channels"].values()
    assert way["url_file"] != str(secret) and way["loopback"] is False
    wrong = open_client.post(f"{PAGE}/channel", data=webhook(token, "example.org", name="house"))
    assert wrong.status_code == 400 and "https://example.org/hook is needed" in wrong.text


def test_a_program_is_shown_and_neither_made_nor_changed_here(
    client: FlaskClient, settings: Settings, token: str
) -> None:
    path = settings.data_dir / "alerts.toml"
    path.write_text(text := '[channels.siren]\nkind = "command"\ncommand = ["/bin/true", "<b>"]\n')
    page = client.get(PAGE).text
    assert "siren" in page and "/bin/true &lt;b&gt;" in page and "name=siren" not in page
    assert client.get(f"{PAGE}/channel?name=siren").status_code == 404
    assert client.get(f"{PAGE}/channel?kind=command").status_code == 404
    for action, form in (
        ("channel", {"kind": "command", "new": "x", "command": "/bin/true"}),
        ("channel", webhook("", "https://example.org/", name="siren")),
        ("test", {"name": "siren"}),
        ("remove", {"channel": "siren"}),
    ):
        answer = client.post(f"{PAGE}/{action}", data={**form, "token": token})
        assert answer.status_code == 404, (action, form)
    assert path.read_text() == text


@pytest.mark.parametrize("text", ['x"]\n[channels.y]\nkind = "command"', "x\r\nBcc: a@b.org", "\0"])
def test_no_field_brings_more_than_its_own_value(
    client: FlaskClient, settings: Settings, token: str, text: str
) -> None:
    for service in SERVICES:
        right = {
            **{"topic": "house", **MAIL},
            **{"secret": SECRET, "url": "https://example.org/", "new": "x", "token": token},
        }
        names = [field.name for field in SERVICES[service].fields]
        for name in [*names, "new", "language", "daily_max", "kind"]:
            if (service, name) == ("apprise", "secret"):
                continue
            form = {**right, "kind": service, name: text}
            answer = client.post(f"{PAGE}/channel", data=form)
            assert answer.status_code in (400, 404), (service, name)
    assert not (settings.data_dir / "alerts.toml").exists()
    assert secrets_of(settings) == []


def test_what_is_wrong_is_said_at_its_field_in_the_readers_language(
    client: FlaskClient, token: str
) -> None:
    wrong = line(token, user="me", new="My phone", daily_max="0")
    for language in ("en", "ja"):
        client.get(f"/?lang={language}")
        answer = client.post(f"{PAGE}/channel", data=wrong)
        assert answer.status_code == 400 and answer.headers["Cache-Control"] == "no-store"
        t = translation("ja" if language == "ja" else "en")
        for field, text in (
            ("user", t("U, C or R and 32 letters and digits are needed")),
            ("new", ""),
        ):
            match = re.search(rf'id="error-{field}">([^<]+)<', answer.text)
            assert match and (not text or html.unescape(match[1]) == text)
        # What was typed is still there.
        assert 'value="My phone"' in answer.text and TOKEN in answer.text


@pytest.mark.tools
@pytest.mark.parametrize(
    ("url", "is_right"),
    [
        ("pover://USER@TOKEN", True),
        ("pover://USER@TOKEN\nsendgrid://KEY:a@example.org/b@example.org?template=my_name", True),
        ("discord://123456789012345678/abc?template=/etc/passwd", False),
        ("discord://123456789012345678/abc?template=administrators.json", False),
        ("mailtos://a:b@example.org?pgp=yes", True),
        ("mailtos://a:b@example.org?pgpprv=/etc/x", False),
        # As Apprise reads them, and no other parser does.
        ("discord://123456789012345678/abc#?template=/etc/passwd", False),
        ("discord://123456789012345678/abc?template+=/etc/passwd", False),
        ("discord://123456789012345678/abc?%20template=/etc/passwd", False),
        ("discord://123456789012345678/abc?avatar=no;template=/etc/passwd", False),
        ("mailtos://a:b@example.org/#?pgpkey=/etc/x", False),
        ("vapid://a@example.org/b@example.org?subfile=/etc/x", False),
        ("json://example.org/,discord://123456789012345678/abc?template=/etc/passwd", False),
        ("dbus://", False),
        ("syslog://", False),
        ("not a url", False),
        ("", False),
        ("\n".join(f"json://example.org/{n}" for n in range(11)), False),
    ],
)
def test_a_url_of_apprise_names_no_file_of_this_machine(
    client: FlaskClient, settings: Settings, token: str, url: str, is_right: bool
) -> None:
    if is_right and channels.is_apprise_missing():
        pytest.skip("apprise is not installed: make .venv/.tools")
    form = {"token": token, "kind": "apprise", "new": "phone", "secret": url}
    answer = client.post(f"{PAGE}/channel", data=form)
    if is_right:
        assert answer.status_code == 303
        assert secrets_of(settings)[0].read_text() == f"{url}\n"
        return
    assert answer.status_code == 400 and 'id="error-secret"' in answer.text
    assert secrets_of(settings) == []


@pytest.mark.skipif(
    channels.is_apprise_missing(), reason="apprise is not installed: make .venv/.tools"
)
def test_the_parameter_that_may_name_a_file_is_named(client: FlaskClient, token: str) -> None:
    form = {"token": token, "kind": "apprise", "new": "phone"}
    wrong = {"secret": "json://example.org/\ndiscord://123456789012345678/abc?template+=x"}
    for language, text in (("en", "the parameter template"), ("ja", "パラメータ template")):
        client.get(f"/?lang={language}")
        page = client.post(f"{PAGE}/channel", data=form | wrong).text
        match = re.search(r'id="error-secret">([^<]+)<', page)
        assert match and text in html.unescape(match[1])


def test_without_apprise_no_url_can_be_judged(
    client: FlaskClient, settings: Settings, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "ATTEMPT", (sys.executable, "-P", "-c", "print(end='no_apprise')"))
    form = {"token": token, "kind": "apprise", "new": "phone", "secret": "pover://USER@TOKEN"}
    answer = client.post(f"{PAGE}/channel", data=form)
    assert answer.status_code == 400 and "the package apprise is missing" in answer.text
    assert secrets_of(settings) == []


@pytest.mark.parametrize(
    ("page", "names"),
    [
        (f"{PAGE}/rule?template=freezer", ("value", "clear")),
        ("/setup/stations/data2", (r"[^ ]+\.(?:minimum|maximum)", "altitude_m")),
        ("/history?endpoint=data2", (r"\w+__[gl]te?",)),
        ("/records?endpoint=data2", ("above|below",)),
    ],
)
def test_a_phone_shows_a_minus_where_a_number_may_be_below_zero(
    client: FlaskClient, token: str, four: None, page: str, names: tuple[str, ...]
) -> None:
    """The keys of "decimal" and "numeric" have none on an iPhone."""
    assert token and four is None
    text = client.get(page, follow_redirects=True).text
    for name in names:
        inputs = re.findall(rf'<input name="(?:{name})"[^>]*>', text)
        assert inputs, name
        assert not [each for each in inputs if "inputmode" in each], name


def test_a_rule_is_made_changed_switched_off_and_on_and_removed(
    client: FlaskClient, of: Administrators, settings: Settings, token: str
) -> None:
    assert client.post(f"{PAGE}/rule", data=limit(token)).status_code == 303
    rule = {"kind": "threshold", "station": "data2", "measurement": "co2", "above": 1500}
    rule |= {"clear": 1200, "for_min": 10}
    assert alerts_of(settings)["rules"] == {"data2_co2_above": rule}
    form = limit(token, name="data2_co2_above", direction="below", value="500.5", clear="")
    assert client.post(f"{PAGE}/rule", data=form).status_code == 303
    changed = alerts_of(settings)["rules"]["data2_co2_above"]
    assert "above" not in changed and (changed["below"], changed["clear"]) == (500.5, 550.5)
    for is_on in ("0", "1"):
        form = {"token": token, "name": "data2_co2_above", "on": is_on}
        assert client.post(f"{PAGE}/switch", data=form).status_code == 303
        assert alerts_of(settings)["rules"]["data2_co2_above"].get("on", True) == (is_on == "1")
        assert "Bedroom CO₂ below 500.5 ppm" in words(client.get(PAGE).text)
    gone = {"token": token, "rule": "data2_co2_above"}
    assert client.post(f"{PAGE}/remove", data=gone).status_code == 303
    assert "rules" not in alerts_of(settings)
    kinds = [change.kind for change in of.changes]
    assert kinds == ["rule_removed", "rule_on", "rule_off", "rule", "rule"]
    page = words(client.get("/setup").text)
    # In the words of the rule as it was.
    assert "The rule was removed: Bedroom CO₂ below 500.5 ppm" in page


def test_a_limit_has_hours_and_a_sensor_may_be_stuck(
    client: FlaskClient, settings: Settings, token: str
) -> None:
    page = client.get(f"{PAGE}/rule?template=frost").text
    assert 'name="from" type="time" value="18:00"' in page
    assert 'name="to" type="time" value="09:00"' in page
    for wrong in ("25:00", "6 pm", "18:61"):
        answer = client.post(f"{PAGE}/rule", data=limit(token, **{"from": wrong, "to": "09:00"}))
        assert answer.status_code == 400
        needed = escape('a time from "00:00" to "23:59" is needed')
        assert needed in answer.text and wrong in answer.text
    for hours in ({"from": "18:00"}, {"from": "18:00", "to": "18:00"}):
        answer = client.post(f"{PAGE}/rule", data=limit(token, **hours))
        assert answer.status_code == 400 and 'id="error-to"' in answer.text, hours
    typed = {"from": "18:00", "to": "09:00"}
    assert client.post(f"{PAGE}/rule", data=limit(token, **typed)).status_code == 303
    rule = alerts_of(settings)["rules"]["data2_co2_above"]
    assert (rule["from"], rule["to"]) == ("18:00", "09:00")
    assert "for 10 min; ends at 1200 ppm (from 18:00 to 09:00)" in words(client.get(PAGE).text)

    stuck = {"token": token, "kind": "stuck", "about": "data2.humidity", "for_min": "180"}
    assert client.post(f"{PAGE}/rule", data=stuck).status_code == 303
    made = {"kind": "stuck", "station": "data2", "measurement": "humidity", "for_min": 180}
    assert alerts_of(settings)["rules"]["data2_humidity_stuck"] == made
    assert "has the same value for 3 h" in words(client.get(PAGE).text)


def test_a_rule_keeps_what_was_written_by_hand(
    client: FlaskClient, settings: Settings, token: str
) -> None:
    path = settings.data_dir / "alerts.toml"
    path.write_text("# Ours.\n[rules.silence]\n# Slow boards.\nafter_min = 30 # minutes\n")
    page = client.get(f"{PAGE}/rule?name=silence").text
    assert 'name="after_min" inputmode="decimal" value="30"' in page
    form = {"token": token, "kind": "silence", "name": "silence", "after_min": "45", "do": "save"}
    assert client.post(f"{PAGE}/rule", data=form).status_code == 303
    text = path.read_text()
    assert text == "# Ours.\n[rules.silence]\n# Slow boards.\nafter_min = 45 # minutes\n"
    assert client.post(f"{PAGE}/remove", data={"token": token, "rule": "x"}).status_code == 404


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"value": ""}, "value"),
        ({"value": "warm"}, "value"),
        ({"value": "1e400"}, "value"),
        ({"value": "200000"}, "value"),
        ({"clear": "1600"}, "clear"),
        ({"about": "data2.nothing"}, "about"),
        ({"about": "kitchen.co2"}, "about"),
        ({"for_min": "-1"}, "for_min"),
        ({"channels": ["nobody"]}, "channels"),
    ],
)
def test_a_wrong_rule_is_refused_at_its_field(
    client: FlaskClient, settings: Settings, token: str, fields: dict[str, Any], wrong: str
) -> None:
    answer = client.post(f"{PAGE}/rule", data=limit(token, **fields))
    assert answer.status_code == 400
    assert re.findall(r'id="error-(\w+)"', answer.text) == [wrong] or wrong == "channels"
    assert not (settings.data_dir / "alerts.toml").exists()


def test_a_rule_offers_the_stations_of_pages_and_its_own(
    client: FlaskClient, token: str, database: Database
) -> None:
    assert token
    page = client.get(f"{PAGE}/rule?template=air").text
    # A new house has nothing else to choose from.
    assert 'value="data.temperature"' in page and 'value="data2.co2" selected' in page
    insert_series(database.path, 1, endpoint="'data'", received_at="1", temperature="22.5")
    page = client.get(f"{PAGE}/rule?template=air").text
    assert 'value="data.temperature"' in page and "data2." not in page
    page = client.get(f"{PAGE}/rule?kind=threshold&about=data2.co2").text
    assert 'value="data.temperature"' in page and 'value="data2.co2" selected' in page
    page = client.get(f"{PAGE}/rule?kind=silence&stations=data3").text
    assert re.findall('name="stations" value="(.*?)"', page) == ["data", "data3"]


def test_a_template_fills_the_form(client: FlaskClient, token: str) -> None:
    assert token
    page = client.get(f"{PAGE}/rule?template=air").text
    assert '<option value="data2.co2" selected>' in page and 'value="1000"' in page
    page = client.get(f"{PAGE}/rule?template=frost").text
    assert '<option value="data3.temperature" selected>' in page
    assert '<option value="below" selected>' in page and 'name="value"' in page
    for name in ("freezer", "stuck", "battery"):
        assert client.get(f"{PAGE}/rule?template={name}").status_code == 200
    assert client.get(f"{PAGE}/rule?template=nothing").status_code == 404


def test_the_form_says_how_often_it_would_have_been_an_alert(
    client: FlaskClient, settings: Settings, token: str
) -> None:
    now = clock.now_ms()
    # Ten days of a reading a minute; for an hour each day CO₂ is high.
    high = "CASE WHEN i % 1440 < 60 THEN 1600 ELSE 700 END"
    at = f"{now} - {10 * 24 * HOUR_MS} + CAST(i AS BIGINT) * 60000 - 30000"
    insert_series(database_path(settings), 14_400, endpoint="'data2'", received_at=at, co2=high)
    answer = client.post(f"{PAGE}/rule", data=limit(token, do="show"))
    page = words(answer.text)
    assert "In the last 30 days this would have been an alert 10 times." in page
    assert answer.text.count("for 50 min") + answer.text.count("for 49 min") >= 9
    assert 'class="limit"' in answer.text
    assert not (settings.data_dir / "alerts.toml").exists()
    never = client.post(f"{PAGE}/rule", data=limit(token, do="show", value="2000"))
    assert "this would not have been an alert" in words(never.text)
    # A chart leads there with its value; without a script, and before anything is saved.
    page = client.get(f"{PAGE}/rule?kind=threshold&about=data2.co2&value=1500").text
    assert "this would have been an alert 10 times" in words(page)


def test_the_panel_of_a_reading_leads_to_a_rule(client: FlaskClient, four: None) -> None:
    assert four is None
    page = client.get("/notes?reading=near&about=data2.co2&from=2025-08-24&to=2025-08-24").text
    (url,) = re.findall(r'href="(/setup/notifications/rule[^"]+)"', page)
    assert html.unescape(url) == f"{PAGE}/rule?kind=threshold&about=data2.co2&value=650"


def test_a_tile_leads_an_administrator_to_a_rule(
    app: Flask, client: FlaskClient, four: None, token: str
) -> None:
    assert four is None and token
    link = "kind=silence&amp;stations=data2"
    for _ in range(2):
        headers = {"X-Flask10X-Heard": "0"}
        assert link in client.get("/", headers=headers).text
        assert link not in app.test_client().get("/", headers=headers).text
    assert link not in client.get("/?kiosk=1").text


def test_times_and_language_are_set(client: FlaskClient, settings: Settings, token: str) -> None:
    form = {"token": token, "language": "ja", "from": "22:00", "to": "07:00"}
    form |= {"base_url": "http://pi.local:8888", "reminder_after_h": "48", "daily_max": "5"}
    answer = client.post(PAGE, data={**form, "urgent": ["disk", "silence"]})
    assert answer.status_code == 303
    assert alerts_of(settings) == {
        "language": "ja",
        "base_url": "http://pi.local:8888",
        "reminder_after_h": 48,
        "daily_max": 5,
        "quiet_hours": {"from": "22:00", "to": "07:00", "urgent": ["disk", "silence"]},
    }
    page = client.get(PAGE).text
    assert 'name="reminder_after_h" inputmode="decimal"' in page
    # A phone shows digits alone for a whole number.
    assert 'name="daily_max" inputmode="numeric"' in page
    page = client.get(f"{PAGE}/channel?kind=ntfy").text
    assert 'name="daily_max" inputmode="numeric"' in page
    wrong = {"from": "25:00", "to": "22:00", "base_url": "ftp://x", "daily_max": "²"}
    for name, text in wrong.items():
        answer = client.post(PAGE, data={**form, name: text})
        assert answer.status_code == 400 and f'id="error-{name}"' in answer.text
    for text in ("1,000", "1001"):
        answer = client.post(PAGE, data={**form, "daily_max": text})
        assert answer.status_code == 400, text
    typed = {"from": "", "to": "", "reminder_after_h": "１，５", "daily_max": "１０"}
    assert client.post(PAGE, data={**form, **typed}).status_code == 303
    of = alerts_of(settings)
    assert (of["reminder_after_h"], of["daily_max"]) == (1.5, 10)
    assert "quiet_hours" not in alerts_of(settings)


def test_a_channel_that_a_rule_needs_stays(
    client: FlaskClient, settings: Settings, token: str
) -> None:
    client.post(f"{PAGE}/channel", data=line(token))
    client.post(f"{PAGE}/channel", data=line(token, new="other"))
    client.post(f"{PAGE}/rule", data=limit(token, channels=["phone"]))
    form = {"token": token, "channel": "phone"}
    answer = client.post(f"{PAGE}/remove", data=form)
    assert answer.status_code == 400 and "data2_co2_above" in answer.text
    both = limit(token, name="data2_co2_above", channels=["phone", "other"])
    client.post(f"{PAGE}/rule", data=both)
    assert client.post(f"{PAGE}/remove", data=form).status_code == 303
    assert alerts_of(settings)["rules"]["data2_co2_above"]["channels"] == ["other"]


def test_a_file_with_a_mistake_is_shown_and_stays(
    client: FlaskClient, settings: Settings, token: str
) -> None:
    path = settings.data_dir / "alerts.toml"
    path.write_text(text := '[rules.disk]\nfree = "<i>5"\n')
    page = client.get(PAGE)
    assert page.status_code == 200 and "has mistakes" in page.text and "<i>5" not in page.text
    for action, form in (
        ("", {"language": "en"}),
        ("/channel", line("")),
        ("/rule", limit("")),
        ("/switch", {"name": "disk", "on": "0"}),
    ):
        answer = client.post(f"{PAGE}{action}", data={**form, "token": token})
        assert answer.status_code == 409
    assert path.read_text() == text and secrets_of(settings) == []


def test_only_administrators_see_where_a_channel_leads(
    app: Flask, client: FlaskClient, settings: Settings, token: str
) -> None:
    assert token
    path = settings.data_dir / "alerts.toml"
    path.write_text('[channels.house]\nkind = "webhook"\nurl = "http://ha.local/api/webhook/abc"\n')
    stranger = app.test_client()
    # The whole address may be a secret.
    assert "http://ha.local/…" in client.get(PAGE).text
    for page in (PAGE, f"{PAGE}/channel?name=house"):
        assert "webhook/abc" not in client.get(page).text
        assert "ha.local" not in stranger.get(page).text
    path.write_text("[channels.house]\nurl = http://ha.local/api/webhook/abc\n")
    assert "webhook/abc" in client.get(PAGE).text
    for page in (PAGE, f"{PAGE}/channel?kind=ntfy", f"{PAGE}/rule?kind=silence"):
        assert "webhook/abc" not in stranger.get(page).text


def test_rules_of_each_kind_can_be_changed(
    client: FlaskClient, settings: Settings, token: str
) -> None:
    path = settings.data_dir / "alerts.toml"
    path.write_text(EACH_KIND)
    before = alerts_of(settings)
    for name, table in before["rules"].items():
        page = client.get(f"{PAGE}/rule?name={name}").text
        inputs = r'<input name="(\w+)" (?:inputmode="\w+" |type="time" )?value="([^"]*)"'
        fields = dict(re.findall(inputs, page))
        chosen = re.findall(r'value="([^"]+)" selected', page)
        fields |= dict(zip(("about", "direction"), chosen, strict=False))
        stations = re.findall(r'name="stations" value="(\w+)" checked', page)
        form = {**fields, "stations": stations, "kind": table.get("kind", name), "name": name}
        answer = client.post(f"{PAGE}/rule", data={**form, "do": "save", "token": token})
        assert answer.status_code == 303, (name, answer.text)
    # What a form shows and sends back as it was changes nothing but defaults that it fills in.
    for name, table in before["rules"].items():
        after = alerts_of(settings)["rules"][name]
        assert {key: after.get(key) for key in table} == table, name


def test_names_are_only_text(client: FlaskClient, settings: Settings, token: str) -> None:
    (settings.data_dir / "stations.toml").write_text("")
    path = settings.data_dir / "alerts.toml"
    path.write_text('[channels.x]\nkind = "webhook"\nurl = "http://a/<script>1</script>"\n')
    for page in (PAGE, f"{PAGE}/channel?name=x"):
        assert "<script>1" not in client.get(page).text
    attack = '"><script>1</script>'
    for query in (f"silence&stations={attack}", f"threshold&about={attack}&value={attack}"):
        shown = client.get(f"{PAGE}/rule?kind={query}")
        assert shown.status_code == 200 and "<script>1" not in shown.text
    answer = client.post(f"{PAGE}/channel", data=line(token, new=attack, user=attack))
    assert answer.status_code == 400 and "<script>1" not in answer.text


def test_others_change_nothing(
    app: Flask, client: FlaskClient, of: Administrators, settings: Settings, token: str
) -> None:
    stranger = app.test_client()
    forms: list[tuple[str, dict[str, Any]]] = [
        ("", {"language": "ja"}),
        ("/channel", line(token)),
        ("/rule", limit(token)),
        ("/switch", {"name": "disk", "on": "0"}),
        ("/remove", {"rule": "disk"}),
        ("/test", {"name": "phone"}),
    ]
    for action, form in forms:
        url = f"{PAGE}{action}"
        assert stranger.post(url, data={**form, "token": token}).status_code == 403
        stranger.set_cookie(COOKIE, "x" * 43)
        assert stranger.post(url, data={**form, "token": token}).status_code == 403
        assert client.post(url, data={**form, "token": "0" * 64}).status_code == 403
        other = {"Origin": "http://other.example"}
        assert client.post(url, data={**form, "token": token}, headers=other).status_code == 403
    assert not (settings.data_dir / "alerts.toml").exists()
    assert of.changes == [] and secrets_of(settings) == []
    page = stranger.get(PAGE).text
    assert "admin-link" in page and "<form" not in page.split("<main", 1)[1].split("</main", 1)[0]


@pytest.mark.usefixtures("database")
def test_a_token_for_reading_sets_nothing(make_app: MakeApp, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"* {'r' * 32}\n")
    file.chmod(0o600)
    client = make_app(READ_TOKENS_FILE=str(file)).test_client()
    headers = {"Authorization": f"Bearer {'r' * 32}"}
    assert client.get(PAGE).status_code == 401
    assert client.get(PAGE, headers=headers).status_code == 200
    assert client.post(f"{PAGE}/rule", data=limit("x"), headers=headers).status_code == 403


def test_apprise_that_is_missing_is_said_with_its_command(
    client: FlaskClient, runs: Runs, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert token
    runs.from_terminal()
    monkeypatch.setattr(channels, "find_spec", lambda _name: None)
    assert "make alerts" in words(client.get(f"{PAGE}/channel?kind=line").text)
    for kind in ("ntfy", "webhook"):
        assert "make alerts" not in words(client.get(f"{PAGE}/channel?kind={kind}").text)


def test_urls_are_as_apprise_reads_them() -> None:
    made = {
        name: channels.secrets_of(
            SERVICES[name], {"server": "", "user": "", "secret": ""} | values
        )["urls_file"].strip()
        for name, values in {
            "line": {"secret": "a/b+" * 12 + "==", "user": "U" + "0" * 32},
            "mail": {**MAIL, "secret": "p@:/?&"},
        }.items()
    }
    assert made == {
        "line": "line://" + "a%2Fb%2B" * 12 + "%3D%3D/U" + "0" * 32,
        "mail": "mailtos://me%40example.org:p%40%3A%2F%3F%26@smtp.example.org:465"
        "?from=me%40example.org&to=family%40example.org&mode=ssl",
    }


@pytest.mark.parametrize("text", ['x"]\n[channels.y]\nkind = "command"', "x\r\n", "\0", "🏠" * 50])
def test_no_field_of_a_rule_brings_more_than_its_own_value(
    client: FlaskClient, settings: Settings, token: str, text: str
) -> None:
    for name in ("about", "value", "clear", "for_min", "kind", "name", "channels", "stations"):
        answer = client.post(f"{PAGE}/rule", data=limit(token, **{name: text}))
        if name == "stations":
            # A limit has none.
            assert answer.status_code == 303
            assert list(alerts_of(settings)) == ["language", "rules"]
            (settings.data_dir / "alerts.toml").unlink()
        else:
            assert answer.status_code in (400, 404), name
    form = {"token": token, "kind": "silence", "stations": text, "do": "save"}
    assert client.post(f"{PAGE}/rule", data=form).status_code == 400
    right = {"language": "en", "from": "22:00", "to": "07:00", "urgent": "disk"}
    for name in (*right, "base_url", "reminder_after_h", "daily_max"):
        answer = client.post(PAGE, data={**right, "token": token, name: text})
        assert answer.status_code == 400, name
    assert not (settings.data_dir / "alerts.toml").exists()


def test_a_full_disk_leaves_neither_a_channel_nor_its_secret(
    client: FlaskClient, settings: Settings, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk, "sync", full)
    answer = client.post(f"{PAGE}/channel", data=line(token))
    assert answer.status_code == 503 and "No space left on device" in answer.text
    assert secrets_of(settings) == [] and not (settings.data_dir / "alerts.toml").exists()


@pytest.mark.parametrize(
    ("manner", "words_before"),
    [("systemd", "sudo {python}"), ("container", "docker exec --user root"), ("terminal", "make")],
)
def test_the_command_that_installs_apprise_is_that_of_this_service(
    client: FlaskClient,
    runs: Runs,
    monkeypatch: pytest.MonkeyPatch,
    manner: str,
    words_before: str,
) -> None:
    monkeypatch.setattr(channels, "find_spec", lambda _name: None)
    if manner == "systemd":
        runs.under_systemd()
    elif manner == "container":
        runs.in_container()
    page = words(client.get(f"{PAGE}/channel?kind=line").text)
    assert words_before.format(python=sys.executable) in page
    assert ("requirements-alerts.lock" in page) == (manner != "terminal")
