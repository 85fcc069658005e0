"""Every route there is: one more is one more way in (explanation/security.md)."""

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
METHODS = {"GET": {"GET", "HEAD", "OPTIONS"}, "POST": {"POST", "OPTIONS"}}
STATIC_FILES = "/static/<path:filename>"
WITHOUT_READINGS = {"/", "/api/v1/time", "/healthz", "/readyz", "/ping", "/health", STATIC_FILES}
WITHOUT_READINGS |= {"/favicon.ico"}


def text_of(language: str) -> str:
    return (ROOT / "docs" / language / "reference" / "http-api.md").read_text(encoding="utf-8")


def documented_routes(language: str) -> list[tuple[str, str]]:
    """Method and path of each route in the tables at the beginning, in their order."""
    tables = text_of(language).split("\n## ", 1)[0]
    return re.findall(r"`(GET|POST) (/[^`]*)`", tables)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_routes_are_those_of_the_documents(app: Flask, language: str) -> None:
    routes = [("GET", STATIC_FILES), *documented_routes(language)]
    rules = [(rule.rule, frozenset(rule.methods or ())) for rule in app.url_map.iter_rules()]
    assert sorted(rules, key=str) == sorted(
        ((path, frozenset(METHODS[method])) for method, path in routes), key=str
    )


def guards_of(settings: Settings) -> dict[str, Guard]:
    """By endpoint."""
    guards: dict[str, Guard] = {STATIC: "open"}
    for routes in declared(settings):
        guards |= {endpoint: route.guard for endpoint, route in routes.routes.items()}
    return guards


def test_only_these_are_open_and_only_these_are_posted(app: Flask, settings: Settings) -> None:
    guards, rules = guards_of(settings), list(app.url_map.iter_rules())
    assert guards.keys() == {rule.endpoint for rule in rules}
    assert {rule.rule for rule in rules if guards[rule.endpoint] in OPEN} == WITHOUT_READINGS
    posted = {
        rule.rule for rule in rules if guards[rule.endpoint] in {*POSTING, "mute", "notes", "setup"}
    }
    assert posted == {path for method, path in documented_routes("en") if method == "POST"}


# In the order of the table of tokens in reference/http-api.md.
ROWS: tuple[set[Guard], ...] = (
    {"always", "open"},
    {"read"},
    {"station"},
    {"stations", "lines"},
    {"key"},
    {"mute"},
    {"notes"},
    {"setup"},
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
    tables = text_of(language).split("\n\n")
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
