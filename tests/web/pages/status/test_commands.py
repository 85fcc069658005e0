"""The commands of `/status` and `/alerts` fit how the service runs."""

import html
import re
import shlex
import sys
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from flask10x import __version__
from flask10x.config.settings import Settings
from flask10x.runtime.store import Store
from flask10x.web import shell as commands
from flask10x.web.shell import how_it_runs, shell
from tests.web.pages.conftest import Runs

PROGRAM = Path(sys.executable).with_name("flask10x")


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "4f1e")


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/flask10x.service\n", "flask10x"),
        ("12:cpu:/\n1:name=systemd:/system.slice/house.service\n", "house"),
        ("0::/system.slice/system-flask10x.slice/flask10x@attic.service/main\n", "flask10x@attic"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/foot.service\n", ""),
        ("0::/user.slice/user-1000.slice/session-2.scope\n", ""),
        ("0::/\n", ""),
    ],
)
def test_the_unit_is_that_of_the_process(runs: Runs, cgroup: str, unit: str) -> None:
    runs.under_systemd(cgroup)
    assert how_it_runs() == (("systemd", unit) if unit else ("terminal", ""))


def test_a_job_of_cron_is_no_unit(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    runs.under_systemd("0::/system.slice/cron.service\n")
    monkeypatch.delenv("INVOCATION_ID")
    assert how_it_runs() == ("terminal", "")


def test_under_systemd(runs: Runs, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    runs.under_systemd()
    own = shell(settings)
    assert own.command("log") == "journalctl -u flask10x -n 50"
    assert own.command("restart") == "sudo systemctl restart flask10x"
    assert own.command("begin") == f"sudo -u sensors {PROGRAM} migrate --new"
    assert own.command("export_again").startswith("sudo systemctl start flask10x-export\n")
    monkeypatch.setattr(commands, "process_user", lambda: "root")
    assert own.command("begin") == f"sudo {PROGRAM} migrate --new"


def test_in_a_container(runs: Runs, settings: Settings) -> None:
    runs.in_container("podman")
    assert how_it_runs() == ("container", "podman")
    own = shell(settings)
    assert own.command("log") == "podman logs --tail 50 4f1e"
    assert own.reload == "podman kill --signal HUP 4f1e"
    assert own.command("export_again") == f"podman exec 4f1e {PROGRAM} export"
    assert own.command("restore_any", file="FILE").splitlines() == [
        "podman stop 4f1e",
        f"podman run --rm --volumes-from 4f1e --env FLASK10X_DATA_DIR={settings.data_dir} "
        f"$(podman inspect --format '{{{{.Image}}}}' 4f1e) {PROGRAM} restore FILE",
        "podman start 4f1e",
    ]


def test_in_a_container_that_a_unit_makes(
    runs: Runs, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.in_container("podman")
    monkeypatch.setenv("PODMAN_SYSTEMD_UNIT", "flask10x.service")
    own = shell(settings)
    # What podman stopped, systemd would start again.
    assert own.command("restart") == "sudo systemctl restart flask10x"
    assert own.command("log") == "journalctl -u flask10x -n 50"
    assert own.reload == "sudo podman kill --signal HUP 4f1e"
    # It goes when it is stopped.
    assert own.command("restore_any", file="FILE").splitlines() == [
        "sudo systemctl stop flask10x.socket flask10x",
        "sudo podman run --rm --volume flask10x:/var/lib/flask10x "
        f"--env FLASK10X_DATA_DIR={settings.data_dir} localhost/flask10x:{__version__} "
        f"{PROGRAM} restore FILE",
        "sudo systemctl start flask10x.socket flask10x",
    ]
    now, nightly = own.command("back_up_nightly").splitlines()
    assert now == f"sudo podman exec 4f1e {PROGRAM} backup"
    line = f"35 0 * * * podman exec 4f1e {PROGRAM} backup"
    assert nightly == f"(sudo crontab -l 2>/dev/null; echo '{line}') | sudo crontab -"


def test_from_a_terminal(runs: Runs, settings: Settings) -> None:
    runs.from_terminal()
    own = shell(settings)
    assert own.command("log") == f"tail -n 50 {settings.log_dir}/flask10x.log"
    stop, restore, start = own.command("restore_any", file="my file").splitlines()
    assert re.fullmatch(r"kill (\d+) && tail --pid=\1 -f /dev/null", stop)
    assert (restore, start) == (f"{PROGRAM} restore 'my file'", f"{PROGRAM} serve")
    now, nightly = own.command("back_up_nightly").splitlines()
    assert now == f"{PROGRAM} backup"
    (line,) = re.findall(r"echo (.*)\) \| crontab -$", nightly)
    assert shlex.split(line) == [f"35 0 * * * {PROGRAM} backup"]


@pytest.mark.parametrize("manner", ["systemd", "container", "terminal"])
@pytest.mark.usefixtures("store")
def test_the_pages_have_only_commands_of_this_service(
    client: FlaskClient, runs: Runs, manner: str, store: Store
) -> None:
    store.database.damage.report("SQLITE_NOTADB: file is not a database")
    {
        "systemd": runs.under_systemd,
        "container": runs.in_container,
        "terminal": runs.from_terminal,
    }[manner]()
    own = {"systemd": "systemctl", "container": "docker ", "terminal": "tail --pid="}[manner]
    others = {"systemctl", "docker ", "tail --pid="} - {own}
    page = html.unescape(client.get("/status").text)
    assert own in page
    assert not [other for other in others if other in page]
    assert "sudo -u root" not in page
