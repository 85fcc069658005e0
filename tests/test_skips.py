"""CI fails when a test is skipped for a reason that is not in the list."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = """
import pytest

def test_of_measured_data():
    pytest.skip("../shared/real/x.csv is not here: no measured data, no recorded requests")

def test_in_itself():
    pytest.skip("there is no browser")

@pytest.mark.skipif(True, reason="there are no charts: make static")
def test_by_a_mark():
    raise AssertionError

@pytest.fixture
def program():
    pytest.skip("nginx is not installed")

def test_by_a_fixture(program):
    raise AssertionError
"""
MODULE = """
import pytest

pytest.importorskip("no_such_module")
"""


@pytest.mark.tools
def test_only_listed_reasons_are_reasons(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "test_module.py").write_text(MODULE)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-rA"]
    done = subprocess.run(
        [*command, "--continue-on-collection-errors", "-c", ROOT / "pyproject.toml", tmp_path],
        cwd=ROOT,
        env=os.environ | {"SKIPS": "listed"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert sorted(re.findall(r"^(?:ERROR|FAILED) (\S+)", done.stdout, re.M)) == [
        "test_module.py",
        "test_some.py::test_by_a_fixture",
        "test_some.py::test_by_a_mark",
        "test_some.py::test_in_itself",
    ], done.stdout
    assert " 1 skipped" in done.stdout
    assert done.returncode == 1
