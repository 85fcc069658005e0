"""The state file of the application's data folder, and a fixed clock."""

import pytest

from flask10x.config.settings import Settings
from flask10x.system import clock
from tests.support.alert_rows import HOUR_MS, NINE_MS, AlertRows

NOW_MS = NINE_MS + 3 * HOUR_MS


@pytest.fixture
def rows(settings: Settings) -> AlertRows:
    return AlertRows(settings.data_dir)


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> int:
    """It is 12:00 in Tokyo."""
    monkeypatch.setattr(clock, "now_ms", lambda: NOW_MS)
    return NOW_MS
