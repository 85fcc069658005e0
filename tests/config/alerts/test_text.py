"""What `flask10x alerts init` writes changes no rule, and each of its examples is right."""

import re
import tomllib
from pathlib import Path

from flask10x.config.alerts import file as alert_file
from flask10x.config.alerts.rules import (
    CHANNELS,
    DEFAULT,
    KINDS,
    RULE_KEYS,
    RULES,
    Alerts,
    QuietHours,
    keys_of,
)
from flask10x.readings.stations import BUILT_IN

FILE = Path("/srv/alerts.toml")
# What the examples can't have beside what they have.
ALTERNATIVES = {"rise", "url_file"}


def used() -> str:
    """The examples as lines that count; prose has a blank behind its #."""
    return re.sub(r"^#(?=[^ :\n])", "", alert_file.example_in("ja"), flags=re.MULTILINE)


def test_the_file_changes_nothing() -> None:
    written = alert_file.example_in("en")
    assert tomllib.loads(written) == {"language": "en"}
    assert alert_file.parse(written.encode(), FILE, BUILT_IN).rules == DEFAULT.rules


def test_the_examples_are_right_and_have_each_kind() -> None:
    alerts = alert_file.parse(used().encode(), FILE, BUILT_IN)
    assert {rule.kind for rule in alerts.rules} == {*KINDS}
    assert len(alerts.channels) == len(CHANNELS)


def test_the_examples_have_each_key() -> None:
    keys = [*keys_of(Alerts), *keys_of(QuietHours), *RULE_KEYS]
    keys += [key for _, own in (*RULES.values(), *CHANNELS.values()) for key in own]
    written = set(re.findall(r"^(\w+) = ", used(), re.MULTILINE))
    assert written == {key.name for key in keys} - ALTERNATIVES


def test_the_standard_rules_are_shown_as_they_are() -> None:
    shown = alert_file.parse(used().encode(), FILE, BUILT_IN).by_name
    assert [shown[rule.name] for rule in DEFAULT.rules[1:]] == [*DEFAULT.rules[1:]]
