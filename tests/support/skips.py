"""Why a test may be skipped where all that tests need is installed, as `.ci/run` does it.

With SKIPS=listed in the environment a test that is skipped for any other reason fails, for it was
to be tried.
"""

import re
from collections.abc import Generator

import pytest

ASKED, LISTED = "SKIPS", "listed"
REASONS = re.compile(
    "|".join(
        (
            # On PostgreSQL, what is about the file of SQLite.
            r"SQLite only: ",
            # Data of a private home, and recorded answers of the old server (`shared_data.py`).
            r"\.\./shared/\S+ is not here",
            # `make test` comes before what these need; they run again when that is installed.
            r"make (\.venv/\.)?tools",
            # The wheel is tried with each Python that is here.
            r"Python 3\.\d+ is not installed",
            # Of `make soak`, but for one test of a file.
            r"podman is not installed",
            # What a user or a container may not do.
            r"only root (can|may) ",
            r"no mount namespace here",
            r"network namespaces cannot be made here",
            r"no disk's power can be cut here",
            r"strace (may not trace|cannot attach) here",
            # What a kernel or a machine has not got.
            r"this kernel can't",
            r"this machine has no (IPv6|address ::1)",
        )
    )
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Judge a test that is skipped."""
    report = yield
    _judge(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Judge a module that is skipped."""
    report = yield
    _judge(report)
    return report


def _judge(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and isinstance(report.longrepr, tuple):
        *_place, reason = report.longrepr
        if not REASONS.search(reason):
            report.outcome = "failed"
            report.longrepr = f"{reason}\nThis reason is not in tests/support/skips.py."
