"""Every route there is, written by hand: one more is one more way in (explanation/security.md)."""

import re
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask10x.config.settings import Settings
from flask10x.history.parameters import MAX_PARAMETERS
from flask10x.web.app import declared
from flask10x.web.page import OPEN, POSTING, STATIC, Guard

ROOT = Path(__file__).resolve().parents[2]
PAGE = {"GET", "HEAD", "OPTIONS"}
POSTED = {"POST", "OPTIONS"}
ROUTES = {
    "/": PAGE,
    "/alerts": PAGE,
    "/alerts/mute": POSTED,
    "/alerts/unmute": POSTED,
    "/api/v1/alerts": PAGE,
    "/api": PAGE,
    "/api/v1/latest": PAGE,
    "/api/v1/notes": PAGE,
    "/api/v1/readings": POSTED,
    "/api/v1/time": PAGE,
    "/api/v1/uptime": PAGE,
    "/api/v2/channels/<channel>/data": POSTED,
    "/api/v2/channels/<channel>/dataarray": POSTED,
    "/api/v2/channels/<channel>/urldataarray": POSTED,
    "/api/v2/write": POSTED,
    "/data": POSTED,
    "/data2": POSTED,
    "/data3": POSTED,
    "/data4": POSTED,
    "/devices": PAGE,
    "/devices/<name>/<kind>": PAGE,
    "/healthz": PAGE,
    "/history": PAGE,
    "/history.csv": PAGE,
    "/history.json": PAGE,
    "/history/json": PAGE,
    "/history/rejected": PAGE,
    "/history/rejected/json": PAGE,
    "/history/series": PAGE,
    "/metrics": PAGE,
    "/metrics/details": PAGE,
    "/metrics/prometheus": PAGE,
    "/notes.csv": PAGE,
    "/notes.json": PAGE,
    "/notes": PAGE,
    "/notes/undo": POSTED,
    "/notes/write": POSTED,
    "/openapi.json": PAGE,
    "/readyz": PAGE,
    "/static/<path:filename>": PAGE,
    "/records": PAGE,
    "/records.csv": PAGE,
    "/status": PAGE,
    "/uptime": PAGE,
    "/write": POSTED,
}
WITHOUT_READINGS = {"/", "/api/v1/time", "/healthz", "/readyz", "/static/<path:filename>"}


def test_the_routes_are_these(app: Flask) -> None:
    rules = list(app.url_map.iter_rules())
    assert {rule.rule: rule.methods for rule in rules} == ROUTES
    assert len(rules) == len(ROUTES)


def guards_of(settings: Settings) -> dict[str, Guard]:
    """By endpoint."""
    guards: dict[str, Guard] = {STATIC: "open"}
    for routes in declared(settings):
        guards |= {endpoint: route.guard for endpoint, route in routes.routes.items()}
    return guards


def test_only_these_are_open_and_only_readings_mutes_and_notes_are_posted(
    app: Flask, settings: Settings
) -> None:
    guards, rules = guards_of(settings), list(app.url_map.iter_rules())
    assert guards.keys() == {rule.endpoint for rule in rules}
    assert {rule.rule for rule in rules if guards[rule.endpoint] in OPEN} == WITHOUT_READINGS
    posted = {rule.rule for rule in rules if guards[rule.endpoint] in {*POSTING, "mute", "notes"}}
    assert posted == {rule for rule, methods in ROUTES.items() if methods == POSTED}


# In the order of the table in reference/http-api.md.
ROWS: tuple[set[Guard], ...] = (
    {"always", "open"},
    {"read"},
    {"station"},
    {"stations", "lines"},
    {"key"},
    {"mute"},
    {"notes"},
)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_who_may_ask_for_what_is_in_the_documents(
    app: Flask, settings: Settings, language: str
) -> None:
    guards, rules = guards_of(settings), list(app.url_map.iter_rules())
    rows = [
        sorted(rule.rule.replace("<path:", "<") for rule in rules if guards[rule.endpoint] in row)
        for row in ROWS
    ]
    text = (ROOT / "docs" / language / "reference" / "http-api.md").read_text(encoding="utf-8")
    tables = text.split("\n\n")
    assert [
        [re.findall("`(/[^`]*)`", line) for line in table.splitlines()[2:]]
        for table in tables
        if "`/static/<filename>`" in table and table.startswith("|")
    ] == [rows]


LISTS = ["/history", "/history/json", "/history.json", "/history.csv"]
LISTS += ["/history/rejected", "/history/rejected/json"]


@pytest.mark.parametrize("path", LISTS)
def test_every_list_is_bounded(client: FlaskClient, path: str) -> None:
    for limit in ("1", "1000"):
        assert client.get(f"{path}?limit={limit}").status_code == 200
    for limit in ("0", "1001", "9" * 9, "9" * 400, "-1", "1e3", "1000 or 1=1"):
        assert client.get(f"{path}?limit={limit}").status_code == 400
    assert (
        client.get(f"{path}?{'&'.join(['endpoint=data'] * (MAX_PARAMETERS + 1))}").status_code
        == 400
    )
