"""The numbers that the rules, the dashboard and the documents name are those of a scrape."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from flask10x.alerts import state_file
from flask10x.alerts.state_file import StateFile, path_of
from flask10x.config.settings import Settings
from flask10x.database import verified
from flask10x.database.paths import database_path
from flask10x.database.sqlite.litestream import folder_beside
from flask10x.database.verified import Result
from tests.support.databases import ON_POSTGRES

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus" / "flask10x.rules.yml"
RULES_TEST = ROOT / "tests" / "web" / "prometheus" / "flask10x.rules.test.yml"
CONFIG = ROOT / "deploy" / "prometheus" / "prometheus.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "flask10x.json"
NAME = re.compile(r"\bflask10x_\w+")
IN_BACKTICKS = re.compile(r"`(flask10x_\w+)`")
# What only one engine has.
OF_FILE = {
    "flask10x_database_wal_size_bytes",
    "flask10x_replica_running",
    "flask10x_replica_synced_timestamp_seconds",
}
OF_SERVER = {
    "flask10x_database_standbys",
    "flask10x_database_synchronous_standbys",
    "flask10x_database_standby_lag_bytes",
}
ELSEWHERE = {*OF_FILE, "flask10x_database_standby_lag_bytes"} if ON_POSTGRES else OF_SERVER

needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="no promtool here (apt: prometheus)"
)


@pytest.fixture
def names(client: FlaskClient, settings: Settings, four: None) -> dict[str, set[str]]:
    """Each family of a service that has everything, and the names of its samples."""
    settings.backup_dir.mkdir()
    (settings.backup_dir / "flask10x-20250824-104640.sqlite3").touch()
    carried = folder_beside(database_path(settings)) / "ltx" / "0"
    carried.mkdir(parents=True)
    (carried / "0000000000000001-0000000000000001.ltx").touch()
    result = Result(finished_at=1, seconds=1.0, readings=1, lines=1, hours=1)
    verified.save(settings, result)
    file = StateFile(path_of(settings))
    with file.writing() as connection:
        alert = {"rule": "silence", "kind": "silence", "subject": "data", "facts": "{}"}
        times = {"since_ms": 1, "entered_ms": 2, "reminded_ms": 2}
        connection.execute(state_file.alerts.insert().values(**alert, **times))
    file.close()
    found = {}
    for family in text_string_to_metric_families(client.get("/metrics/prometheus").text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = {sample.name for sample in family.samples}
    assert [name for name, samples in found.items() if not samples] == []
    return found


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_page_has_each_number_once_and_no_other(
    names: dict[str, set[str]], language: str
) -> None:
    page = (ROOT / f"docs/{language}/howto/prometheus.md").read_text(encoding="utf-8")
    rows = [row for row in page.splitlines() if row.startswith("|")]
    listed = [name for row in rows for name in IN_BACKTICKS.findall(row.split("|")[1])]
    assert sorted(listed) == sorted({*names, *ELSEWHERE})
    assert set(IN_BACKTICKS.findall(page)) <= {*names, *ELSEWHERE}


def test_rules_and_dashboard_name_what_there_is(names: dict[str, set[str]]) -> None:
    samples = ELSEWHERE.union(*names.values())
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    targets = [one for panel in dashboard["panels"] for one in panel.get("targets", [])]
    variables = [one.get("definition", "") for one in dashboard["templating"]["list"]]
    asked = [*(target["expr"] for target in targets), *variables]
    asked += re.findall(r"(?s)expr:(.*?)(?:for|labels):", RULES.read_text(encoding="utf-8"))
    used = {name for one in asked for name in NAME.findall(one)}
    assert len(used) > 20
    assert used - samples == set()


def test_each_rule_has_a_test() -> None:
    rules = re.findall(r"alert: (\w+)", RULES.read_text(encoding="utf-8"))
    tested = re.findall(r'alertname="(\w+)"', RULES_TEST.read_text(encoding="utf-8"))
    assert tested == rules


@needs_promtool
@pytest.mark.parametrize(
    "arguments",
    [("check", "rules", RULES), ("test", "rules", RULES_TEST), ("check", "config", CONFIG)],
    ids=["rules", "rules fire", "scrape"],
)
def test_promtool_accepts_what_is_shipped(arguments: tuple[str | Path, ...]) -> None:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
