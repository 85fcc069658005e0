"""Every route there is, written by hand: one more is one more way in (explanation/security.md)."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask10x.history.parameters import MAX_PARAMETERS
from flask10x.web.access import MUTING, NOTING, OPEN
from flask10x.web.access import POSTED as WRITES

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
    "/write": POSTED,
}
WITHOUT_READINGS = {"/", "/api/v1/time", "/healthz", "/readyz", "/static/<path:filename>"}


def test_the_routes_are_these(app: Flask) -> None:
    rules = list(app.url_map.iter_rules())
    assert {rule.rule: rule.methods for rule in rules} == ROUTES
    assert len(rules) == len(ROUTES)


def test_only_these_are_open_and_only_readings_mutes_and_notes_are_posted(app: Flask) -> None:
    rules = list(app.url_map.iter_rules())
    assert {rule.rule for rule in rules if rule.endpoint in OPEN} == WITHOUT_READINGS
    posted = {rule.rule for rule in rules if rule.endpoint.partition(".")[0] in WRITES}
    posted |= {rule.rule for rule in rules if rule.endpoint in MUTING | NOTING}
    assert posted == {rule for rule, methods in ROUTES.items() if methods == POSTED}


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
