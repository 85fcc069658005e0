"""`flask10x alerts init|check|list`: what a person at the shell sees and does."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flask10x.commands import alerts as alert_commands
from flask10x.commands.alerts import command
from flask10x.config import settings as settings_module
from flask10x.config.alerts import file as alert_file
from flask10x.config.alerts.rules import DEFAULT
from flask10x.errors import AlertsError
from tests.support.databases import environment_of
from tests.support.speaking import speaking

STANDARD = [
    "rule silence: No data from a station for longer than usual: all stations; on by default",
    "rule disk: Less than 5 % of the disk is free; on by default",
    "rule database: The database is damaged or missing, or readings cannot be stored for 60 s;"
    " on by default",
    "rule backup: The newest backup is older than 3 days; on by default",
    "rule replica: The replica is behind by more than 60 min; on by default",
    "rule copies: Copies of the readings differ (flask10x verify); on by default",
]
REMINDER = "reminder: while an alert lasts, after 24 h"
NO_CHANNEL = (
    "warning: there is no channel, so no message is sent: alerts are only shown on the page"
    " /alerts\n"
)
OWN = """
language = "ja"
base_url = "http://raspberrypi.local:8888"
[quiet_hours]
from = "22:00"
to = "07:00"
[rules.silence]
stations = ["data", "data2"]
after_min = 10
[rules.queue]
[rules.rejected]
[rules.failed_sensor]
channels = ["speaker", "house"]
[rules.export]
[rules.backup]
on = false
[rules.stuffy]
kind = "threshold"
station = "data2"
measurement = "co2"
above = 1500
clear = 1200
for_min = 10
[rules.frost]
kind = "threshold"
station = "data3"
measurement = "temperature"
below = 2
clear = 2.5
[rules.smoke]
kind = "rate"
station = "data4"
measurement = "analog_value"
rise = 100
within_min = 1
[channels.house]
kind = "webhook"
url = "https://example.org/hook"
language = "en"
[channels.speaker]
kind = "command"
command = ["/bin/sh", "-c", "cat"]
daily_max = 3
"""


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment_of(tmp_path).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "alerts.toml"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


@pytest.mark.parametrize(("name", "written"), [("ja", "ja"), ("en", "en"), ("de", "en")])
def test_init_writes_the_language_of_the_terminal(file: Path, name: str, written: str) -> None:
    with speaking(name):
        run("init")
    assert f'\nlanguage = "{written}"\n' in file.read_text(encoding="utf-8")
    assert settings_module.load().alerts.language == written


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({"LANG": "en_GB.UTF-8"}, "en"),
        ({"LANG": "ja_JP.UTF-8"}, "ja"),
        # The unit sets it, so that the journal is English; people still read Japanese.
        ({"LANG": "ja_JP.UTF-8", "LANGUAGE": "en"}, "ja"),
        ({"LANG": "en_GB.UTF-8", "LC_ALL": "ja_JP.UTF-8"}, "ja"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({}, "en"),
    ],
)
def test_without_a_language_messages_are_in_that_of_the_system(
    file: Path, environ: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    file.write_text('[channels.house]\nkind = "command"\ncommand = ["/bin/true"]\n')
    assert settings_module.load().alerts.language == language
    file.write_text(f'language = "ja"\n{file.read_text()}')
    assert settings_module.load().alerts.language == "ja"


def test_init_writes_what_changes_nothing_and_never_over_a_file(file: Path) -> None:
    result = run("init")
    assert (result.exit_code, result.stdout) == (0, f"{file} was written\n")
    assert file.read_text(encoding="utf-8") == alert_file.example_in("en")
    assert settings_module.load().alerts.rules == DEFAULT.rules

    file.write_text("# mine\n")
    assert str(run("init").exception) == f"there is {file} already; it stays as it is"
    assert file.read_text() == "# mine\n"


def test_init_follows_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK10X_ALERTS", f"{tmp_path}/other/mine.toml")
    assert run("init").exit_code == 0
    assert (tmp_path / "other" / "mine.toml").stat().st_mode & 0o777 == 0o644


def test_check_says_what_is_on_without_a_file(file: Path) -> None:
    result = run("check")
    assert (result.exit_code, result.stderr) == (0, NO_CHANNEL)
    assert result.stdout.splitlines() == [
        f"{file}: no such file, so the defaults apply; rules: 6, channels: 0",
        *STANDARD,
        "not on: threshold, rate, stuck, failed_sensor, rejected, queue, export",
        REMINDER,
    ]


def test_check_shows_each_rule_and_channel_in_plain_words(file: Path) -> None:
    file.write_text(OWN)
    result = run("check")
    lines = [
        "rule silence: No data from a station for 10 min: Pico, Bedroom",
        *STANDARD[1:3],
        *STANDARD[4:],
        "rule queue: Many readings waiting to be stored for 60 s",
        "rule rejected: 10 readings rejected within 60 min: all stations",
        "rule failed_sensor: A sensor gives no value or a fault value 10 times in a row: all"
        " stations; sent by speaker, house only",
        "rule export: Readings in no CSV file for 2 days",
        "rule stuffy: Bedroom CO₂ above 1500 ppm for 10 min; ends at 1200 ppm",
        "rule frost: Outside Temperature below 2 °C; ends at 2.5 °C",
        "rule smoke: Living room Gas (raw) rises by 100 within 60 s",
        "channel house: JSON to https://example.org/hook, not signed; in English; 20 a day at most",
        "channel speaker: the program /bin/sh -c cat; in Japanese; 3 a day at most",
    ]
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"{file}: no mistake; rules: 12, channels: 2",
        *lines,
        "not on: stuck, backup",
        REMINDER,
        "quiet hours: 22:00 to 07:00, but not for database, disk",
    ]
    assert run("list").stdout.splitlines() == lines


def test_check_names_each_mistake_and_takes_another_file(file: Path, tmp_path: Path) -> None:
    file.write_text('daily_max = 0\n[rules.silence]\nstations = ["dta2"]\n')
    result = run("check")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        f"{file}: line 1: daily_max: is 0: a whole number from 1 to 1000 is needed",
        f"{file}: line 3: [rules.silence] stations: there is no station dta2 (did you mean data2?)",
    ]
    assert isinstance(run("list").exception, AlertsError)

    (tmp_path / "new.toml").write_text("")
    assert run("check", f"{tmp_path}/new.toml").exit_code == 0
    other = str(run("check", f"{tmp_path}/none.toml").exception)
    assert other == f"there is no file {tmp_path}/none.toml"


def test_check_warns_of_what_keeps_messages_away(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_commands, "find_spec", lambda _name: None)
    open_to_all = tmp_path / "secret"
    open_to_all.write_text("s")
    open_to_all.chmod(0o604)
    plain = tmp_path / "plain"
    plain.touch(0o600)
    file.write_text(
        '[channels.a]\nkind = "webhook"\nurl = "https://example.org"\n'
        f'secret_file = "{open_to_all}"\n'
        f'[channels.b]\nkind = "command"\ncommand = ["{tmp_path}/none"]\n'
        f'[channels.c]\nkind = "command"\ncommand = ["{plain}"]\n'
        f'[channels.d]\nkind = "apprise"\nurls_file = "{tmp_path}/urls"\n'
        '[channels.e]\nkind = "apprise"\nurls_file = "credential:urls"\n'
    )
    result = run("check")
    lines = result.stderr.splitlines()
    assert result.exit_code == 0
    assert lines[:3] == [
        f"warning: [channels.a] secret_file {open_to_all}: everybody may read or write it: chmod o="
        f" {open_to_all}",
        f"warning: [channels.b] command: there is no program {tmp_path}/none",
        f"warning: [channels.c] command: {plain} can't be run",
    ]
    assert "No such file" in lines[3]
    assert "systemd gave no credentials" in lines[5]
    missing = "kind: Apprise is not installed: docs/en/howto/alerts.md says how"
    assert [lines[4], lines[6]] == [f"warning: [channels.{channel}] {missing}" for channel in "de"]
    assert lines[7] == "warning: there is no base_url, so messages have no link to the chart"
