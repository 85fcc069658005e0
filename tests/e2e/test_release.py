"""The files of a release: what they say, and each tried on an empty Debian.

`make release` names the folder with its files in RELEASED; else they are built, once.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from flask10x import __version__
from tests.contract.test_lock import LOCKED
from tests.e2e.service import PROJECT, wait_until
from tests.e2e.test_container import Container, container, image, podman
from tests.support.booted import Machine, booted, empty_debian

# The image is tried where it is killed and updated, too.
__all__ = ("Container", "container", "image", "podman")

READING = {"pressure": 1013.25, "temperature": 25.1}
# Sends a reading, and reads it back: `python3 - PORT`.
TRY = """
import json, sys, time
from urllib.request import Request, urlopen
at = f"http://127.0.0.1:{sys.argv[1]}"
for attempt in range(600):
    try:
        assert urlopen(f"{at}/readyz", timeout=5).status == 200
        break
    except OSError:
        time.sleep(0.2)
body = json.dumps({"pressure": 1013.25, "temperature": 25.1}).encode()
sent = urlopen(Request(f"{at}/data", body, {"Content-Type": "application/json"}), timeout=10)
assert sent.status == 200, sent.status
for attempt in range(600):
    rows = json.load(urlopen(f"{at}/history/json", timeout=10))
    if rows:
        break
    time.sleep(0.1)
print(json.dumps(rows[0]["data"]))
"""
# Starts what is installed in an environment, tries it, and stops it in order.
SERVE = """
set -e
port=$2
FLASK10X_DATA_DIR="/var/lib/tried-$port" FLASK10X_PORT="$port" "$1/bin/flask10x" serve &
printf '%s' "$3" > /tmp/try.py
python3 /tmp/try.py "$port"
kill $!
wait $!
"""


def release_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", PROJECT / "deploy" / "release.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["release"] = module
    spec.loader.exec_module(module)
    return module


# What they say


# To load what checks the schema takes seconds.
@pytest.mark.tools
def test_its_list_of_parts_has_all_that_runs_and_nothing_else() -> None:
    listed = json.loads(release_script().bill_of_materials())
    parts = {part["name"]: part for part in listed["components"]}
    assert {"apprise", "paho-mqtt", "psycopg", "psycopg-binary", "gevent", "uplot"} <= parts.keys()
    assert not {"hatchling", "pathspec", "trove-classifiers"} & parts.keys()
    assert all(LOCKED.get(name, part["version"]) == part["version"] for name, part in parts.items())
    assert [name for name, part in parts.items() if not part["hashes"]] == []
    assert listed["metadata"]["component"]["version"] == __version__


def test_its_changes_are_one_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = release_script()
    monkeypatch.setattr(script, "ROOT", tmp_path)
    text = "## [Unreleased]\n\n## [1.1.0] - 2026-12-01\n\n- New.\n\n## [1.0.0]\n\n- Old.\n\n"
    (tmp_path / "CHANGELOG.md").write_text(f"{text}[Unreleased]: RELEASING.md\n")
    changes = [script.changes(version) for version in ("1.1.0", "1.0.0", "1.2.0")]
    assert changes == ["- New.\n", "- Old.\n", ""]
    assert script.changes("Unreleased").strip() == ""


def test_a_file_that_differs_is_named(tmp_path: Path) -> None:
    for name, text in (("first", "a"), ("second", "b")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same").write_text("x")
        (tmp_path / name / "other").write_text(text)
    (tmp_path / "second" / "more").write_text("x")
    differing = release_script().different(tmp_path / "first", tmp_path / "second")
    assert differing == ["more", "other"]


# On an empty Debian


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the files."""
    if folder := os.environ.get("RELEASED"):
        return Path(folder)
    if not (PROJECT / "flask10x/web/static/vendor/uPlot.iife.min.js").is_file():
        pytest.skip("without the chart library there is no release: make static")
    into = tmp_path_factory.mktemp("released")
    machine = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()
    builds = (
        ["-m", "build", "--no-isolation", "--outdir", str(into)],
        [str(PROJECT / "deploy/debian/build.py"), machine, "--into", str(into)],
    )
    for words in builds:
        done = subprocess.run(
            [sys.executable, *words], cwd=PROJECT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return into


@pytest.fixture(scope="module")
def debian(released: Path) -> Iterator[Machine]:
    """A booted Debian without anything of ours, and the files as /packages."""
    with empty_debian("trixie") as folder:
        packages = folder / "packages"
        packages.mkdir()
        for file in released.iterdir():
            if file.suffix in (".whl", ".gz", ".deb"):
                shutil.copy(file, packages)
        fetch_wheels(packages / "wheels")
        # A layer in memory hides what is in its folder.
        (folder / "layer").mkdir()
        with booted(folder / "layer", packages, folder / "debian") as machine:
            assert machine.run("ip", "link", "set", "lo", "up").returncode == 0
            yield machine


def fetch_wheels(folder: Path) -> None:
    """The locked packages, as a folder that needs no network, and the lock."""
    words = "import sys; from pathlib import Path; import image; image.fetch_wheels(image.WHEELS)"
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "deploy" / "container")}
    subprocess.run([sys.executable, "-c", words], env=environment, check=True)
    shutil.copytree(PROJECT / "build" / "wheels", folder)
    shutil.copy(PROJECT / "requirements.lock", folder)


def run(machine: Machine, *words: str) -> str:
    done = machine.run(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("file", "port"), [("*.whl", "8881"), ("*.tar.gz", "8882")])
def test_wheel_and_source_are_installed_and_serve(debian: Machine, file: str, port: str) -> None:
    (name,) = debian.path("/packages").glob(file)
    pip = [f"/opt/tried-{port}/bin/python", "-m", "pip", "--quiet", "install", "--no-index"]
    run(debian, "python3", "-m", "venv", f"/opt/tried-{port}")
    lock = ["--require-hashes", "--requirement", "/packages/wheels/requirements.lock"]
    run(debian, *pip, "--find-links=/packages/wheels", *lock)
    run(debian, *pip, "--no-deps", "--no-build-isolation", f"/packages/{name.name}")
    said = run(debian, "sh", "-c", SERVE, "serve", f"/opt/tried-{port}", port, TRY)
    assert json.loads(said) == READING


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_package_is_installed_by_apt_and_serves(debian: Machine) -> None:
    machine = run(debian, "dpkg", "--print-architecture").strip()
    file = f"/packages/flask10x_{__version__}_{machine}.deb"
    said = run(debian, "apt-get", "install", "--yes", file)
    assert re.search(r"http://\S+/setup/link/", said)
    assert json.loads(run(debian, "python3", "-c", TRY, "8888")) == READING
    run(debian, "systemctl", "stop", "flask10x.socket", "flask10x")
    state = "systemctl show --value --property=Result flask10x"
    wait_until(lambda: debian.run(*state.split()).stdout == "success\n", 60, "it has stopped")


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_image_is_loaded_and_serves(container: Container) -> None:
    container.start()
    container.wait()
    done = subprocess.run(
        [sys.executable, "-c", TRY, str(container.port)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == READING
    container.stop()
