"""Fixtures: real services, as in the end-to-end tests, and which promise they are asked to keep."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.e2e.conftest import flood, service  # noqa: F401


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """On the disk: its faults are real, and some tests mount something in the place of memory."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def numbers() -> Iterator[int]:
    """The numbers of all readings of one test, each once."""
    return itertools.count(1)


@pytest.fixture(params=["enqueued", "committed"])
def promise(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The setting ACK, for a test that has to hold under both."""
    return {} if request.param == "enqueued" else {"ack": request.param}
