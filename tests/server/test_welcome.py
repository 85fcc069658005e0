"""The addresses that are shown at the start, and the QR code of one."""

import io
import re
import socket
from pathlib import Path

import pytest

from flask10x.runtime.administrators import Administrators
from flask10x.server.address import greet
from flask10x.system import address, clock
from tests.conftest import MakeSettings


class Terminal(io.StringIO):
    """A terminal that keeps what is written to it."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(address, "own_address", lambda: "192.168.0.7")
    monkeypatch.setattr(socket, "gethostname", lambda: "RaspberryPi")
    monkeypatch.setattr(address, "AVAHI", tmp_path)
    monkeypatch.setenv("TERM", "xterm")


HOME = "http://192.168.0.7:8888/"
LOCAL = "http://localhost:8888/"
NAME = "http://raspberrypi.local:8888/"


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize(
    ("bind", "expected"),
    [
        ("0.0.0.0:8888", [LOCAL, HOME, NAME]),
        ("[::]:8888", [LOCAL, HOME, NAME]),
        ("192.0.2.1:80", ["http://192.0.2.1:80/"]),
        ("[2001:db8::1]:8888", ["http://[2001:db8::1]:8888/"]),
        ("127.0.0.1:8888", ["http://127.0.0.1:8888/"]),
        ("unix:/run/flask10x/s", []),
    ],
)
def test_the_addresses(make_settings: MakeSettings, bind: str, expected: list[str]) -> None:
    assert list(address.addresses(make_settings(BIND=bind))) == expected


@pytest.mark.usefixtures("at_home")
def test_a_name_that_is_not_served_is_not_shown(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown = list(address.addresses(make_settings(ALLOWED_HOSTS="house.example")))
    assert shown == [LOCAL, HOME]
    monkeypatch.setattr(address, "AVAHI", tmp_path / "nothing")
    assert list(address.addresses(make_settings())) == [LOCAL, HOME]


@pytest.mark.usefixtures("at_home")
def test_a_terminal_gets_a_code_for_a_phone_and_a_file_does_not(
    make_settings: MakeSettings,
) -> None:
    terminal, file = Terminal(), io.StringIO()
    greet(make_settings(), terminal)
    greet(make_settings(), file)
    line = f"flask10x: the pages are at {LOCAL}, {HOME}, {NAME}\n"
    # A journal keeps what it reads, so it gets no link.
    assert file.getvalue() == line
    assert terminal.getvalue().startswith(line)
    # Version 2 of a QR code has 25 modules, two of them in a line, and a border of 2 on each side.
    assert len(terminal.getvalue().splitlines()) > 12


@pytest.mark.usefixtures("at_home")
def test_a_first_start_on_a_terminal_has_a_link_for_the_first_administrator(
    make_settings: MakeSettings,
) -> None:
    settings, now_ms = make_settings(), clock.now_ms()
    of = Administrators(settings)
    terminal = Terminal()
    greet(settings, terminal)
    link = re.search(rf"set it up at {HOME}setup/link/(\S+)\?start=1", terminal.getvalue())
    assert link and of.is_open(link[1], now_ms)
    # Until there is one, each start has another: the first may have been missed.
    terminal = Terminal()
    greet(settings, terminal)
    assert "setup/link" in terminal.getvalue()
    assert of.add(link[1], "Firefox", now_ms)
    for other in (settings, make_settings(SETUP="off")):
        terminal = Terminal()
        greet(other, terminal)
        assert "setup/link" not in terminal.getvalue()


def test_a_machine_without_a_network_has_its_own_address_only(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class NoRoute:
        def __init__(self, *_: object) -> None:
            raise OSError

    monkeypatch.setattr(address, "AVAHI", tmp_path / "nothing")
    monkeypatch.setattr(socket, "socket", NoRoute)
    assert list(address.addresses(make_settings())) == [LOCAL]
