"""`alerts.toml`: the file that the setting ALERTS names."""

from collections.abc import Mapping
from typing import Any

from flask10x.config.alerts.rules import DEFAULT, Alerts
from flask10x.errors import wrong_setting

NAME = "alerts.toml"


def read(place: str, raw: Any) -> Alerts:
    """The alerts of the file with this path; raises SettingsError."""
    raise wrong_setting(place, raw, "not written yet")


def default(_given: Mapping[str, Any]) -> Alerts:
    """Those of `alerts.toml` in the data folder; without one, DEFAULT."""
    return DEFAULT
