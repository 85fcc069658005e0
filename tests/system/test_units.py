"""The units of an installation: those of deploy/ with its own paths, and a user's form of them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flask10x.config import environment_file
from flask10x.errors import ServiceError
from flask10x.maintenance import installation
from flask10x.system import units
from flask10x.system.units import Place

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
ELSEWHERE = Path("/srv/house/env/bin/flask10x")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A place of the system's in a folder of the test, for a program that is not in /opt."""
    monkeypatch.setattr(units, "program", lambda: ELSEWHERE)
    return Place(tmp_path / "units", tmp_path / "flask10x.env", tmp_path / "data", "flask10x")


@pytest.fixture
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(units, "program", lambda: ELSEWHERE)
    folders = (tmp_path / "units", tmp_path / "config" / "flask10x.env", tmp_path / "data")
    return Place(*folders, "me", is_user=True)


def test_the_units_of_the_documented_place_are_those_of_deploy(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "program", lambda: Path("/opt/flask10x/.venv/bin/flask10x"))
    monkeypatch.setattr(sys, "prefix", str(DEPLOY.parent / ".venv"))
    different = [
        name
        for name in units.names()
        if units.text_of(name, place).replace(f"file://{DEPLOY.parent}/docs/", units.DOCUMENTS)
        != (DEPLOY / name).read_text(encoding="utf-8")
    ]
    assert different == []
    assert "flask10x.socket" in units.names()


def test_a_program_elsewhere_is_started_where_it_is(place: Place) -> None:
    text = units.text_of("flask10x-backup.service", place)
    assert "ExecStart=/srv/house/env/bin/flask10x backup\n" in text
    assert "/opt/flask10x" not in "".join(units.text_of(name, place) for name in units.names())


def test_a_user_s_units_ask_for_nothing_that_only_the_system_may_do(own_place: Place) -> None:
    for name in units.names():
        text = units.text_of(name, own_place)
        keys = {line.partition("=")[0] for line in text.splitlines() if "=" in line}
        assert not keys & units.SYSTEM_ONLY
        assert "/var/lib" not in text
        assert "multi-user.target" not in text
    service = units.text_of("flask10x.service", own_place)
    assert f"Environment=FLASK10X_DATA_DIR={own_place.data} LANGUAGE=en\n" in service
    assert "NoNewPrivileges=yes\n" in service


def test_systemd_has_nothing_to_say_about_a_user_s_units(
    own_place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: the units are not checked here")
    monkeypatch.setattr(units, "program", lambda: Path("/bin/true"))
    for name in units.names():
        (tmp_path / name).write_text(units.text_of(name, own_place), encoding="utf-8")
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", *units.names()],
        cwd=tmp_path,
        env={"XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.stdout + checked.stderr, checked.returncode) == ("", 0)


def test_what_was_written_says_which_service_it_is(place: Place, own_place: Place) -> None:
    said: list[str] = []
    assert "flask10x.service" in installation.write_units(place, said.append)
    service = environment_file.service_of(place.units)
    assert service is not None
    assert (service.program, service.file) == (ELSEWHERE, Path("/etc/flask10x/flask10x.env"))
    assert service.data_dir == Path("/var/lib/flask10x")
    installation.write_units(own_place, said.append)
    service = environment_file.service_of(own_place.units)
    assert service is not None
    assert (service.file, service.data_dir) == (own_place.settings, own_place.data)


def test_only_what_differs_is_written_again(place: Place) -> None:
    said: list[str] = []
    added = installation.write_units(place, said.append)
    assert added == units.names()
    assert len(said) == len(added)
    (place.units / "flask10x.service").write_text("old\n")
    said.clear()
    assert installation.write_units(place, said.append) == []
    assert said == [f"writes {place.units / 'flask10x.service'}"]


def test_a_command_finds_the_settings_of_the_service_that_starts_its_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_place: Place
) -> None:
    installation.write_units(own_place, lambda _text: None)
    own_place.settings.parent.mkdir()
    own_place.settings.write_text("FLASK10X_PORT=9123\n")
    monkeypatch.setattr(sys, "prefix", "/srv/house/env")
    # Messages of this process name the file from then on.
    monkeypatch.setattr(environment_file, "_files", [])
    monkeypatch.setattr(environment_file, "_places", {})
    monkeypatch.setattr(environment_file, "SYSTEM_UNITS", tmp_path / "none")
    monkeypatch.setattr(environment_file, "user_units", lambda _environ: own_place.units)
    environ: dict[str, str] = {}
    environment_file.take_over(environ)
    assert environ["FLASK10X_PORT"] == "9123"
    assert environ["FLASK10X_DATA_DIR"] == str(own_place.data)


def test_another_program_s_service_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_place: Place
) -> None:
    installation.write_units(own_place, lambda _text: None)
    monkeypatch.setattr(environment_file, "SYSTEM_UNITS", tmp_path / "none")
    monkeypatch.setattr(environment_file, "user_units", lambda _environ: own_place.units)
    environ: dict[str, str] = {}
    environment_file.take_over(environ)
    assert environ == {"FLASK10X_ENV_FILE": ""}


def test_a_program_in_a_home_is_no_service_of_the_system(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "program", lambda: Path("/home/pi/.local/bin/flask10x"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda _name: "/usr/bin/systemctl")
    with pytest.raises(ServiceError, match=r"in a home folder.*service install --user"):
        installation.install(place, lambda _text: None, start=False)
    assert not place.units.exists()
