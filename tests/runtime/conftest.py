"""What the log has said since it was asked last."""

from collections.abc import Callable

import pytest

Said = Callable[[], list[str]]


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Said:
    """Its lines, level and message, each returned once."""

    def new_lines() -> list[str]:
        lines = [f"{record.levelname} {record.getMessage()}" for record in caplog.records]
        caplog.clear()
        return lines

    return new_lines
