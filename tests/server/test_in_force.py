"""What a reload takes over of alerts, and what it leaves as it was."""

from dataclasses import replace
from pathlib import Path

import pytest

from flask10x.config.alerts.rules import DEFAULT, Command, Disk, Queue, Silence
from flask10x.errors import AlertsError
from flask10x.server import in_force
from tests.support.databases import environment_of

SPEAKER = Command(name="speaker", arguments=("/bin/say",))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in environment_of(tmp_path).items():
        monkeypatch.setenv(name, value)
    return tmp_path / "alerts.toml"


def test_a_reload_takes_over_the_file_of_alerts(file: Path) -> None:
    former = in_force.read_settings()
    file.write_text("[rules.silence]\nafter_min = 10\n")

    now, waiting = in_force.read_settings_again(former)
    assert (now.settings.alerts.by_name["silence"], waiting) == (Silence(after_sec=600), [])


def test_a_start_and_a_reload_refuse_a_file_with_a_mistake(file: Path) -> None:
    former = in_force.read_settings()
    file.write_text("[rules.silence]\nafter_min = -1\n")

    with pytest.raises(AlertsError, match=r"line 2: \[rules\.silence\] after_min: is -1"):
        in_force.read_settings_again(former)
    with pytest.raises(AlertsError):
        in_force.read_settings()


def test_a_line_says_what_a_reload_has_brought() -> None:
    former = replace(DEFAULT, channels=(SPEAKER,))
    now = replace(
        DEFAULT,
        rules=(Silence(after_sec=60), Disk(), Queue()),
        channels=(replace(SPEAKER, daily_max=1),),
        daily_max=1,
    )
    assert in_force.alerts_line(former, now) == (
        "Alerts of this reload: rule queue added; rule silence changed;"
        " rule database, backup, replica, copies gone;"
        " channel speaker changed; the keys that hold for all of them changed"
    )
    assert in_force.alerts_line(former, replace(former, file="/srv/alerts.toml")) == ""
    assert in_force.alerts_line(former, replace(former, channels=())).endswith(
        ": channel speaker gone"
    )
