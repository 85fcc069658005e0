"""`/setup`: each setting, its value, where that is from, and what it does."""

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from flask10x.config.settings import ROWS
from flask10x.web import shell
from tests.conftest import MakeApp
from tests.support.html import words


def rows(client: FlaskClient, language: str = "en") -> dict[str, list[str]]:
    """By the names of the settings: value and source."""
    page = client.get(f"/setup?lang={language}", follow_redirects=True).text
    cells = [
        [words(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in re.findall(r"<tr[^>]*>.*</tr>", page)
    ]
    return {name.split()[0]: rest for name, *rest in cells if name.startswith("FLASK10X_")}


def test_each_setting_has_a_row(client: FlaskClient) -> None:
    for language in ("en", "ja"):
        found = rows(client, language)
        assert sorted(found) == sorted(f"FLASK10X_{row.name.upper()}" for row in ROWS)


def test_a_value_says_where_it_is_from(make_app: MakeApp, tmp_path: Path) -> None:
    file = tmp_path / "flask10x.toml"
    file.write_text('history_max = 500\nworkers = 1\nplace = "35.68,139.77"\ncommit_lock = false\n')
    client = make_app(CONFIG=file, PORT=9999, ALLOWED_HOSTS="pi.local,localhost").test_client()
    found = rows(client)
    assert found["FLASK10X_HISTORY_MAX"] == ["500", f"{file}; a reload is enough"]
    assert found["FLASK10X_WORKERS"] == ["1", str(file)]
    assert found["FLASK10X_PLACE"][0] == "35.68,139.77"
    assert found["FLASK10X_COMMIT_LOCK"][0] == "false"
    assert found["FLASK10X_BIND"] == ["0.0.0.0:9999", "environment"]
    assert found["FLASK10X_ALLOWED_HOSTS"] == ["localhost, pi.local", "environment"]
    assert found["FLASK10X_TIMEZONE"] == ["Asia/Tokyo", "environment"]
    assert found["FLASK10X_THREADS"] == ["2", "default"]
    assert found["FLASK10X_MQTT_URL"] == ["not set", "default"]


def test_it_says_how_a_setting_is_changed_where_the_service_runs(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for manner, by, sentence in (
        ("systemd", "flask10x", "into /etc/flask10x/flask10x.env"),
        ("container", "podman", "make the container again"),
        ("terminal", "", "before the command that starts the service"),
    ):
        monkeypatch.setattr(shell, "how_it_runs", lambda: (manner, by))  # noqa: B023
        text = words(client.get("/setup").text)
        assert sentence in text
        assert ("sudo systemctl restart flask10x" in text) == (manner == "systemd")


@pytest.mark.parametrize("path", ["", "/stations/plant", "/new-station", "/house"])
def test_each_page_is_in_the_list_of_all(client: FlaskClient, path: str) -> None:
    page = client.get(f"/setup{path}?lang=en", follow_redirects=True).text
    listed = re.search(r'<nav aria-label="Settings">(.*?)</nav>', page)
    assert listed is not None
    assert listed[1].count("aria-current") == 1
    assert re.findall(r'href="(.*?)"', listed[1])[4:] == [
        "/setup#administrators",
        "/setup/start",
        "/notes",
        "/setup#all",
    ]


def test_what_people_change_comes_before_what_is_folded(client: FlaskClient) -> None:
    page = client.get("/setup?lang=en", follow_redirects=True).text
    changed, settings, programs = page.split('<details class="box"')
    assert "FLASK10X_HISTORY_MAX" not in changed
    assert "FLASK10X_HISTORY_MAX" in settings
    assert re.findall(r'href="(.*?)"', programs) == [
        *("/api", "/history/json", "/history.csv", "/metrics", "/readyz", "/healthz"),
    ]


def test_it_can_be_left_out(make_app: MakeApp) -> None:
    client = make_app(SETUP="off").test_client()
    assert client.get("/setup").status_code == 404
    home = client.get("/").text
    assert "/setup" not in home
    assert '<a href="/api">' in home
