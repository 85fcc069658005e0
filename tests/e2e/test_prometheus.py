"""A real Prometheus watches a real service of two workers, with the files that we ship."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.e2e.conftest import make_services
from tests.e2e.senders import HOST, reading_of
from tests.e2e.service import PROJECT, Service, reserved_port, wait_until
from tests.support import databases

pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(
        not shutil.which("prometheus"), reason="no Prometheus here (apt: prometheus)"
    ),
]

SHIPPED = PROJECT / "deploy" / "prometheus"
DASHBOARD = PROJECT / "deploy" / "grafana" / "flask10x.json"
# The least that a rule may set.
SILENT_AFTER_SEC = 30
# What Grafana puts in their place, here for a scrape a second.
VARIABLES = {
    "$__rate_interval": "10s",
    "$instance": ".*",
    "$station": ".*",
    "$measurement": ".*",
}

# What only a file of SQLite has.
FILES_ONLY = ['flask10x_database_wal_size_bytes{instance=~".*"}']
WITHOUT_DATA = FILES_ONLY if databases.ON_POSTGRES else []
HOST_NAME = "prometheus-test"


class Prometheus:
    """One that scrapes a service each second, with the shipped rules and nearly that file."""

    def __init__(self, folder: Path, port: int, service: Service) -> None:
        shutil.copy(SHIPPED / "flask10x.rules.yml", folder)
        shipped = (SHIPPED / "prometheus.yml").read_text(encoding="utf-8")
        config, changes = re.subn(r"15s", "1s", shipped.replace(":8888", f":{service.port}"))
        assert changes == 2
        (folder / "prometheus.yml").write_text(config, encoding="utf-8")
        self._port = port
        with (folder / "output.txt").open("wb") as output:
            self.process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address={HOST}:{port}",
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def ask(self, path: str, **query: str) -> Any:
        """What its API answers."""
        connection = HTTPConnection(HOST, self._port, timeout=10)
        try:
            connection.request("GET", f"/api/v1/{path}?{urlencode(query)}")
            answer = json.load(connection.getresponse())
        finally:
            connection.close()
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> list[Any]:
        """The samples of an expression now."""
        found: list[Any] = self.ask("query", query=expression)["result"]
        return found

    def number(self, expression: str) -> float:
        """That of the only sample, 0 when there is none."""
        found = self.query(expression)
        assert len(found) < 2
        return float(found[0]["value"][1]) if found else 0.0


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Prometheus]]:
    """A service that has had some readings, and a Prometheus that has seen some scrapes."""
    rules = tmp_path_factory.mktemp("rules") / "alerts.toml"
    rules.write_text(f"[rules.silence]\nafter_min = {SILENT_AFTER_SEC / 60}\n")
    with make_services(tmp_path_factory.mktemp("service")) as make, reserved_port() as port:
        service = make(alerts=rules, host_name=HOST_NAME)
        assert service.command("backup").returncode == 0
        prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"), port, service)
        try:
            wait_until(lambda: _answers(prometheus), 30, "Prometheus answers")
            for number in range(20):
                service.post("data2", reading_of(number))
                service.post("data", {"pressure": 1013.2, "temperature": 25.1})
                service.post("data", {"pressure": "nonsense"})
            service.wait_for_rows(40)
            stored = "count_over_time((flask10x_readings_stored_total == 40)[1m:1s])"
            wait_until(lambda: prometheus.number(stored) >= 2, 30, "some scrapes")
            yield service, prometheus
        finally:
            prometheus.process.terminate()
            prometheus.process.wait(25)


def _answers(prometheus: Prometheus) -> bool:
    try:
        return bool(prometheus.query("up == 1"))
    except (OSError, ValueError):
        # It says 503 in plain words until it is ready.
        return False


def expressions(dashboard: Any) -> list[str]:
    """Each query of the dashboard, as Grafana would send it."""
    found = []
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"]
            for variable, value in VARIABLES.items():
                expression = expression.replace(variable, value)
            found.append(expression)
    assert len(found) > 20
    return found


def test_each_query_of_the_dashboard_gives_data(house: tuple[Service, Prometheus]) -> None:
    _, prometheus = house
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    asked = expressions(dashboard)
    assert [one for one in asked if "$" in one] == []

    def without_data() -> list[str]:
        return [one for one in asked if not prometheus.query(one)]

    # Some are made of rules, which are evaluated once a second.
    wait_until(lambda: without_data() == WITHOUT_DATA, 30, f"data for each: {without_data()}")
    for variable in dashboard["templating"]["list"][1:]:
        series, label = re.fullmatch(
            r"label_values\((.*), (\w+)\)", variable["query"]["query"]
        ).groups()  # type: ignore[union-attr]
        for name, value in VARIABLES.items():
            series = series.replace(name, value)
        assert prometheus.ask(f"label/{label}/values", **{"match[]": series}), variable["name"]


def test_each_shipped_rule_is_evaluated_without_an_error(
    house: tuple[Service, Prometheus],
) -> None:
    _, prometheus = house

    def rules() -> list[Any]:
        (group,) = prometheus.ask("rules")["groups"]
        return list(group["rules"])

    wait_until(lambda: all(rule["health"] == "ok" for rule in rules()), 60, "rules are evaluated")


def test_totals_do_not_fall_when_a_worker_is_killed(house: tuple[Service, Prometheus]) -> None:
    service, prometheus = house
    total = "sum(flask10x_readings_accepted_total)"
    before = prometheus.number(total)
    os.kill(min(service.workers()), signal.SIGKILL)
    service.wait_for_workers()
    for number in range(20):
        service.post("data3", {"temperature": 1, "humidity": 2, "pressure": 3, "gas_res": number})
    wait_until(lambda: prometheus.number(total) == before + 20, 60, "all are counted")
    assert prometheus.number("flask10x_workers_killed_total") == 1
    assert prometheus.query("resets(flask10x_readings_accepted_total[1m]) > 0") == []
    assert prometheus.query("resets(flask10x_commit_readings_count[1m]) > 0") == []


def test_both_workers_say_the_same(house: tuple[Service, Prometheus]) -> None:
    service, _ = house
    wait_until(lambda: service.get("/metrics").json["queue_length"] == 0, 60, "all is stored")
    counted = re.compile(r"^flask10x_(?:readings|commit|write|rejected)\w*(?:\{.*\})? .*$", re.M)
    texts = [answer.body.decode() for answer in service.get_from_each("/metrics/prometheus")]
    (said,) = {"\n".join(counted.findall(text)) for text in texts}
    host = f'host="{HOST_NAME}",' if databases.ON_POSTGRES else ""
    assert f'flask10x_readings_refused_total{{{host}station="data"}} 20.0' in said


def test_a_silent_station_fires_a_shipped_rule(house: tuple[Service, Prometheus]) -> None:
    service, prometheus = house
    firing = 'ALERTS{alertname="Flask10XStationSilent", alertstate="firing", station="data2"}'
    wait_until(lambda: prometheus.query(firing), SILENT_AFTER_SEC + 20, "the rule fires")
    (alert,) = (
        one for one in prometheus.ask("alerts")["alerts"] if one["labels"].get("station") == "data2"
    )
    assert alert["annotations"]["summary"] == "data2 is silent"

    service.post("data2", reading_of(99))
    wait_until(lambda: not prometheus.query(firing), 60, "it ends with the next reading")
