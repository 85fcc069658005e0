"""What the targets of the Makefile install and run, in a folder of their own without a network."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# As npm does: all of it is taken away and fetched again, and files have the times of their archive.
NPM = """#!/bin/sh
echo "$*" >> npm.txt
rm -rf node_modules
mkdir -p node_modules/uplot/dist
for file in dist/uPlot.iife.min.js dist/uPlot.min.css LICENSE; do
  touch -d 1985-10-26 "node_modules/uplot/$file"
done
case "$*" in
  *--omit=dev*) ;;
  *) mkdir node_modules/axe-core; touch -d 1985-10-26 node_modules/axe-core/axe.min.js ;;
esac
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The Makefile with what its rules look at, and with an npm that notes how it is called."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    for name in ("Makefile", "pyproject.toml", "package-lock.json", "flask10x/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for lock in ROOT.glob("requirements*.lock"):
        shutil.copy(lock, tmp_path)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "npm").write_text(NPM)
    (programs / "npm").chmod(0o755)
    return tmp_path


def lay_environment(clone: Path) -> None:
    """An environment in which all is installed that tests need, with a Python that does nothing."""
    python = clone / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    for name in (".runtime", "versions.txt", ".develop"):
        (clone / ".venv" / name).touch()


def make(clone: Path, *words: str) -> str:
    """What make prints; it has to succeed."""
    environment = {"PATH": f"{clone}/programs:{os.environ['PATH']}", "LANG": "C.UTF-8"}
    done = subprocess.run(
        ["make", "--no-print-directory", *words],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_some_tests_are_run_without_a_look_at_all_of_them(clone: Path) -> None:
    some = make(clone, "--dry-run", "test", "TESTS=tests/readings")
    assert "--collect-only" not in some
    assert re.search(r"-m pytest .*tests/readings$", some, re.M)
    assert "--collect-only" in make(clone, "--dry-run", "test")


def test_what_tests_take_from_npm_is_fetched_once(clone: Path) -> None:
    lay_environment(clone)
    for _ in range(2):
        make(clone, "test", "TESTS=tests/readings")
    assert (clone / "npm.txt").read_text().splitlines() == ["ci"]
    assert (clone / "node_modules/axe-core/axe.min.js").exists()


def test_who_runs_the_program_takes_only_the_charts(clone: Path) -> None:
    make(clone, "charts")
    assert (clone / "npm.txt").read_text().splitlines() == ["ci --omit=dev"]


@pytest.mark.parametrize("target", ["wheel", "deb", "image"])
def test_what_packs_installs_nothing_for_tests(clone: Path, target: str) -> None:
    assert set(re.findall(r"\.\[(\w+)\]", make(clone, "--dry-run", target))) == {"packaging"}


def test_the_help_names_what_a_contributor_calls(clone: Path) -> None:
    said = make(clone, "help")
    shown = set(re.findall(r"^([a-z-]+) ", said, re.M))
    assert shown >= {"test", "lint", "types", "format", "format-check", "develop", "check"}
    assert "TESTS=" in said
