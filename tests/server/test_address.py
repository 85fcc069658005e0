"""The place where the service listens."""

import os
import socket
import threading

import pytest

from flask10x.errors import SettingsError
from flask10x.server import address as listening
from tests.conftest import MakeSettings


def test_a_free_port_stays_free(make_settings: MakeSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    config = make_settings(BIND=f"127.0.0.1:{port}")

    listening.require_free(config)
    listening.require_free(config)


def test_a_service_that_leaves_is_waited_for(make_settings: MakeSettings) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    config = make_settings(BIND=f"127.0.0.1:{server.getsockname()[1]}")
    leaving = threading.Timer(0.3, server.close)
    leaving.start()

    listening.require_free(config)
    leaving.join()


@pytest.mark.parametrize(
    ("bind", "reason"),
    [
        ("192.0.2.1:8888", "this machine has no such address"),
        ("[2001:db8::1]:8888", "this machine has no such address|cannot listen there"),
    ],
)
def test_an_address_that_is_not_of_this_machine(
    make_settings: MakeSettings, bind: str, reason: str
) -> None:
    with pytest.raises(SettingsError, match=reason) as caught:
        listening.require_free(make_settings(BIND=bind))
    assert str(caught.value).startswith(f"FLASK10X_BIND is {bind}: ")


def test_what_needs_no_port(make_settings: MakeSettings) -> None:
    listening.require_free(make_settings(BIND="unix:/nowhere/s"))


def test_a_port_that_systemd_holds_is_that_of_the_setting(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as systemd:
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        monkeypatch.setattr(listening, "FIRST_HANDED", systemd.fileno())
        port = systemd.getsockname()[1]
        for host in ("127.0.0.1", "localhost"):
            listening.require_free(make_settings(BIND=f"{host}:{port}"))
        # Behind a proxy it listens on this machine only, and shall not on all addresses.
        for bind in (f"127.0.0.1:{port + 1}", f"0.0.0.0:{port}", f"[::1]:{port}", "unix:/run/s"):
            with pytest.raises(SettingsError, match="a line ListenStream= and below it") as caught:
                listening.require_free(make_settings(BIND=bind))
            assert str(caught.value).startswith(
                f"FLASK10X_BIND is {bind}, but systemd holds 127.0.0.1:{port}: "
            )
