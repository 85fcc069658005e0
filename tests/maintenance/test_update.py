"""An update and the way back, beside a `systemctl` that is a script, and versions that are scripts.

What systemd, dpkg, pip and git themselves do is tried in booted systems: tests/e2e/test_update.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from flask10x.errors import CommandFailed
from flask10x.maintenance import installation, update
from flask10x.maintenance.installation import Say
from flask10x.maintenance.update import Environment
from flask10x.system import units
from flask10x.system.units import Place

# The word of `restart` is what the installed version does when it is started.
SYSTEMCTL = """#!/bin/sh
echo "$*" >>"$STATE/log"
started() {
  case "$(cat "$STATE/env/lib/site-packages/version")" in
    ends) echo failed >"$STATE/active"; return 1 ;;
    hangs) exec sleep 60 ;;
    migrates) [ -e "$STATE/migrates" ] || { touch "$STATE/migrates"; exec sleep 60; } ;;
  esac
  echo active >"$STATE/active"
}
case "$*" in
  *"ActiveState flask10x.service") cat "$STATE/active" ;;
  *"ActiveState flask10x.socket") echo inactive ;;
  *"StatusText flask10x.service") echo "migrates the database" ;;
  *"restart flask10x.service"|*"start flask10x.service") started ;;
esac
"""
PROGRAM = """#!/bin/sh
version="$(cat "$STATE/env/lib/site-packages/version")"
case "$1" in
  check)
    [ "$version" = unwell ] && level=FAIL || level=ok
    of_schema='{"revision": "'$(cat "$STATE/schema")'"}'
    echo '{"findings": [
      {"name": "service", "level": "'$level'", "text": "it is '$level'", "details": {}},
      {"name": "schema", "level": "ok", "text": "", "details": '$of_schema'}]}' ;;
  migrate) [ "$version" != ends ] && echo "$3" >"$STATE/schema" ;;
  restore) echo 1 >"$STATE/schema"; echo "$2" >"$STATE/restored" ;;
  service)
    echo "of $version" >"$STATE/units/flask10x.service"
    touch "$STATE/units/flask10x-$version.timer" ;;
esac
"""


@dataclass(frozen=True)
class House:
    """What is installed, in a folder of the test."""

    folder: Path
    place: Place

    def version(self) -> str:
        return (self.folder / "env/lib/site-packages/version").read_text()

    def units(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.place.units.iterdir()}

    def log(self) -> list[str]:
        return (self.folder / "log").read_text().splitlines()


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    programs = {"bin/systemctl": SYSTEMCTL, "env/bin/flask10x": PROGRAM}
    for name, text in programs.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
        path.chmod(0o755)
    libraries = tmp_path / "env/lib/site-packages"
    libraries.mkdir(parents=True)
    (libraries / "version").write_text("first")
    (tmp_path / "units").mkdir()
    (tmp_path / "units/flask10x.service").write_text("of first\n")
    for name, content in (("active", "active"), ("schema", "1")):
        (tmp_path / name).write_text(f"{content}\n")
    monkeypatch.setenv("STATE", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=":")
    monkeypatch.setenv("FLASK10X_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(units, "program", lambda: tmp_path / "env/bin/flask10x")
    for name in ("SETTLED_WITHIN_SEC", "LOOK_PAUSE_SEC"):
        monkeypatch.setattr(update, name, 0.0)
    place = Place(tmp_path / "units", tmp_path / "env.file", tmp_path / "data", "me", is_user=True)
    return House(tmp_path, place)


@pytest.fixture
def updated(house: House, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[bool, str]]:
    """Update to the version of this name: whether it is there, and what was said."""

    class Renewed(Environment):
        def renew(self, target: str, say: Say) -> None:
            """As pip does it: a file is removed and another one made; one is new."""
            libraries = self.prefix / "lib/site-packages"
            (libraries / "version").unlink()
            (libraries / "version").write_text(target)
            (libraries / f"only_{target}").touch()
            (house.folder / "schema").write_text("2\n")
            if target == "refused":
                raise CommandFailed("pip failed")

    monkeypatch.setattr(update, "environment", lambda: Renewed(house.folder / "env"))

    def run(target: str) -> tuple[bool, str]:
        said: list[str] = []
        done = update.update(house.place, target, said.append)
        return done, "\n".join(said)

    return run


def schema_of(house: House) -> str:
    return (house.folder / "schema").read_text().strip()


def test_a_version_that_is_well_stays(
    house: House, updated: Callable[[str], tuple[bool, str]]
) -> None:
    done, said = updated("second")
    assert done, said
    assert (house.version(), schema_of(house)) == ("second", "2")
    assert house.units() == {"flask10x.service": "of second\n", "flask10x-second.timer": ""}
    assert "--user start flask10x-backup.service" in house.log()
    # What was before is there until the next update.
    kept = house.folder / "env.former"
    assert (kept / "lib/site-packages/version").read_text() == "first"
    assert (kept / "units/flask10x.service").read_text() == "of first\n"


@pytest.mark.parametrize(
    ("version", "wrong"),
    [
        ("unwell", "FAIL since the update: service: it is FAIL"),
        ("ends", "failed, exit status 1"),
        ("hangs", "no answer of the service for"),
        ("refused", "pip failed"),
    ],
)
def test_one_that_is_not_goes_and_the_former_one_is_back(
    house: House,
    updated: Callable[[str], tuple[bool, str]],
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    wrong: str,
) -> None:
    monkeypatch.setattr(units, "MIGRATING", "something else")
    monkeypatch.setattr(installation, "START_WITHIN_SEC", 1.0)
    (house.folder / "data/backups").mkdir(parents=True)
    (house.folder / "data/backups/flask10x-20261201-000000.sqlite3").touch()
    inode = (house.folder / "env/lib/site-packages/version").stat().st_ino
    done, said = updated(version)
    assert not done
    assert wrong in said
    # The files themselves, not copies of them.
    assert house.version() == "first"
    assert (house.folder / "env/lib/site-packages/version").stat().st_ino == inode
    assert [path.name for path in (house.folder / "env/lib/site-packages").iterdir()] == ["version"]
    assert {path.name for path in (house.folder / "env").iterdir()} == {"bin", "lib"}
    assert house.units() == {"flask10x.service": "of first\n"}
    assert schema_of(house) == "1"
    # What is too broken to migrate has its backup restored.
    assert (house.folder / "restored").exists() == (version == "ends")
    # The service was stopped before, and started as the last thing.
    log = [line.removeprefix("--user ") for line in house.log()]
    stopped, started = (
        log.index("stop flask10x.service"),
        len(log) - 1 - log[::-1].index("restart flask10x.service"),
    )
    assert stopped < started
    assert not (house.folder / "env.failed").exists()


def test_a_migration_is_waited_for(
    house: House,
    updated: Callable[[str], tuple[bool, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(installation, "START_WITHIN_SEC", 0.3)
    done, said = updated("migrates")
    assert done, said
    assert house.version() == "migrates"
