"""The Debian package: what is in it, and what it does to a system that is booted for it."""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from flask10x import __version__
from flask10x.maintenance.stand_in import PATIENCE_SEC as STANDS_IN_AFTER_SEC
from tests.e2e.service import PATIENCE_SEC, wait_until
from tests.support.booted import ENVIRONMENT, Machine, booted, empty_debian

PROJECT = Path(__file__).resolve().parents[2]
DEBIAN = PROJECT / "deploy" / "debian"
PROGRAMS = "/opt/flask10x/.venv/lib/python3/site-packages/flask10x"
UNITS = "/usr/lib/systemd/system"
# A command that another version lacks.
LACKED = "datasette.py"
DATABASE = "/var/lib/flask10x/flask10x.sqlite3"
COUNT = """
import sqlite3, sys
print(sqlite3.connect(sys.argv[1]).execute("SELECT count(*) FROM readings").fetchone()[0])
"""
# Boards give up later, where nothing else keeps the machine busy (docs/en/reference/units.md).
ANSWERED_WITHIN_SEC = 5.0
# Ends when the process has.
FREEZE = 'kill -STOP "$1" && while [ -e "/proc/$1" ]; do sleep 0.2; done'
# Boards that send while a command runs, and what came of it.
SEND = """
import json, subprocess, sys, time, uuid
from tests.e2e.test_held_port import Senders
senders = Senders(8888, uuid.uuid4().hex)
with senders.sending():
    time.sleep(2)
    done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
    time.sleep(2)
print(json.dumps({"status": done.returncode, "said": done.stdout + done.stderr,
    "answered": len(senders.answered), "refused": senders.refused, "later": senders.sent_later,
    "slowest_sec": senders.slowest_sec}))
"""


def build_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build", DEBIAN / "build.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["build"] = module
    spec.loader.exec_module(module)
    return module


def test_what_only_builds_is_not_in_it() -> None:
    text = (PROJECT / "requirements.lock").read_text()
    kept = set(re.findall(r"^([a-z0-9-]+)==", build_script().running_lock(text), re.M))
    assert {"flask", "gevent", "greenlet", "zope-interface", "sqlalchemy", "mako"} <= kept
    assert not {"hatchling", "trove-classifiers", "pathspec"} & kept
    assert kept < set(re.findall(r"^([a-z0-9-]+)==", text, re.M))


@pytest.mark.parametrize("name", ["preinst", "postinst", "prerm", "postrm"])
def test_the_shell_understands_its_scripts(name: str) -> None:
    subprocess.run(["sh", "-n", DEBIAN / name], check=True)


# What a machine has for the script that runs when the package is gone; the answer is in $ANSWER.
CONFMODULE = """
db_input() { echo "asked: $2" >&2; }
db_go() { :; }
db_get() { [ -n "$ANSWER" ] && RET="$ANSWER"; }
db_purge() { :; }
db_stop() { :; }
"""


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        ("", {"flask10x.sqlite3", "backups/a.sqlite3", "csv/a.csv", "known"}),
        ("nothing", {"flask10x.sqlite3", "backups/a.sqlite3", "csv/a.csv", "known"}),
        ("readings", {"backups/a.sqlite3"}),
        ("all", set()),
    ],
)
def test_a_purge_asks_what_becomes_of_the_readings(
    tmp_path: Path, answer: str, left: set[str]
) -> None:
    """The script itself, in folders of the test; without an answer nothing is lost."""
    data = tmp_path / "var/lib/flask10x"
    for name in ("flask10x.sqlite3", "backups/a.sqlite3", "csv/a.csv"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).touch()
    known, settings = tmp_path / "var/lib/flask10x-known", tmp_path / "etc/flask10x"
    for folder in (known, settings):
        folder.mkdir(parents=True)
    (known / "a").touch()
    (tmp_path / "usr/share/debconf").mkdir(parents=True)
    (tmp_path / "usr/share/debconf/confmodule").write_text(CONFMODULE)
    text = re.sub(r"(?<![\w/])/(?=var/lib|etc|usr/share)", f"{tmp_path}/", postrm())
    script = tmp_path / "postrm"
    script.write_text(text.replace("deb-systemd-helper", "true"))
    done = subprocess.run(
        ["sh", script, "purge"],
        env={"PATH": os.environ["PATH"], "ANSWER": answer},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "asked: flask10x/purge" in done.stderr
    assert f"deletes {settings} (" in done.stdout
    there = {str(path.relative_to(data)) for path in data.rglob("*") if path.is_file()}
    assert there | ({"known"} if (known / "a").exists() else set()) == left
    assert not settings.exists()


def postrm() -> str:
    return (DEBIAN / "postrm").read_text(encoding="utf-8")


def test_each_choice_of_the_purge_is_in_both_languages() -> None:
    text = (DEBIAN / "templates").read_text(encoding="utf-8")
    lines = dict(re.findall(r"^(\S+): (.*)$", text, re.M))
    names = lines["Choices-C"].split(", ")
    assert names[0] == lines["Default"]
    for name in ("Choices", "Choices-ja.UTF-8"):
        assert len(lines[name].split(", ")) == len(names)
    assert {name for name in names if f"{name})" not in postrm()} == {lines["Default"]}


def architecture() -> str:
    if shutil.which("dpkg") is None:
        pytest.skip("dpkg is not installed: no package is built here")
    return subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()


def build(into: Path, *architectures: str) -> Path:
    words = [sys.executable, str(DEBIAN / "build.py"), *architectures, "--into", str(into)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1795000000"}
    subprocess.run(words, check=True, env=environment, capture_output=True)
    (file,) = into.glob("*.deb")
    return file


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That of `make release`; else it is built, once."""
    if folder := os.environ.get("RELEASED"):
        name = f"flask10x_{__version__}_{architecture()}.deb"
        return Path(shutil.copy(Path(folder, name), tmp_path_factory.mktemp("package")))
    return build(tmp_path_factory.mktemp("package"), architecture())


def next_version(package: Path, folder: Path, number: str = "9.0.0", broken: str = "") -> Path:
    """The same as another version, packed quickly; a broken one has this in front of its start.

    It lacks a module, and has another unit.
    """
    root = folder / "next"
    subprocess.run(["dpkg-deb", "-R", package, root], check=True)
    commands = root / PROGRAMS.lstrip("/") / "commands"
    (commands / LACKED).unlink()
    (root / UNITS.lstrip("/") / "flask10x-next.service").write_text("[Service]\nExecStart=true\n")
    if broken:
        (commands / "serve.py").write_text(f"{broken}\n{(commands / 'serve.py').read_text()}")
    control = root / "DEBIAN" / "control"
    control.write_text(
        re.sub("^Version: .*", f"Version: {number}", control.read_text(), flags=re.M)
    )
    words = ["dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "--build", str(root)]
    subprocess.run([*words, str(package.parent)], check=True, capture_output=True)
    shutil.rmtree(root)
    return package.parent / f"flask10x_{number}_{architecture()}.deb"


# Packing takes a minute of one core, and several on a machine that is busy.
@pytest.mark.long
@pytest.mark.timeout(900)
def test_it_is_the_same_bytes_each_time(package: Path, tmp_path: Path) -> None:
    again = build(tmp_path, architecture())
    assert hashlib.sha256(package.read_bytes()).digest() == (
        hashlib.sha256(again.read_bytes()).digest()
    )


@pytest.mark.long
@pytest.mark.timeout(900)
def test_lintian_has_nothing_to_say(package: Path) -> None:
    if shutil.which("lintian") is None:
        pytest.skip("lintian is not installed")
    judged = subprocess.run(
        ["lintian", "--allow-root", package], capture_output=True, text=True, check=False
    )
    assert (judged.stdout + judged.stderr, judged.returncode) == ("", 0)


@pytest.fixture(params=["", "bookworm"], ids=["this machine", "Debian 12"])
def machine(request: pytest.FixtureRequest, package: Path, tmp_path: Path) -> Iterator[Machine]:
    """Booted systems: that of this machine, and the oldest that the package is for."""
    if not request.param:
        with booted(tmp_path, package.parent) as machine:
            yield machine
        return
    with (
        empty_debian(request.param) as folder,
        booted(tmp_path, package.parent, folder / "debian") as machine,
    ):
        yield machine


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_it_is_installed_updated_removed_and_purged(
    package: Path, machine: Machine, tmp_path: Path
) -> None:
    newer = next_version(package, tmp_path)
    # A system for builds has no network, not even its own.
    machine.run("ip", "link", "set", "lo", "up")
    # Nor what not every Debian has.
    machine.run("dpkg", "--remove", "--force-depends", "adduser")
    installed = machine.run("dpkg", "-i", f"/packages/{package.name}")
    assert installed.returncode == 0, installed.stderr
    assert "http://localhost:8888/setup/link/" in installed.stderr
    assert is_active(machine)
    said = machine.run("flask10x", "--version").stdout
    assert said == f"flask10x, version {__version__}\n"

    answered = restart_and_reload(machine)
    answered += freeze_a_worker(machine)
    answered += freeze_the_master(machine)

    sent = send_while(machine, "dpkg", "-i", f"/packages/{newer.name}")
    say(machine, "update of the package", sent)
    assert (sent["status"], sent["refused"]) == (0, []), sent["said"]
    assert "a backup before the update" in sent["said"]
    assert len(list(machine.path("/var/lib/flask10x/backups").glob("*.sqlite3"))) == 1
    assert is_active(machine)
    answered += sent["answered"]

    removed = machine.run("dpkg", "--remove", "flask10x")
    assert "the readings are still in /var/lib/flask10x" in removed.stdout
    assert rows(machine) == answered > 0
    assert machine.path("/etc/flask10x/flask10x.env").exists()
    assert not machine.path("/opt/flask10x").exists()

    # Nobody is asked here, as without a terminal.
    assert "readings and backups are still in /var/lib/flask10x" in purged(machine)
    assert rows(machine) == answered
    assert remains(machine) == ["/var/lib/flask10x", "/var/lib/flask10x-known"]

    assert machine.run("dpkg", "-i", f"/packages/{newer.name}").returncode == 0
    assert rows(machine) == answered
    assert "deletes /var/lib/flask10x-known (" in purged(machine, "readings")
    assert remains(machine) == ["/var/lib/flask10x"]
    kept = [path.name for path in machine.path("/var/lib/flask10x").iterdir()]
    assert kept == ["backups"]

    assert machine.run("dpkg", "-i", f"/packages/{newer.name}").returncode == 0
    assert "deletes /var/lib/flask10x (" in purged(machine, "all")
    assert remains(machine) == []


def purged(machine: Machine, answer: str = "") -> str:
    """What a purge says that was answered before."""
    if answer:
        line = f"flask10x flask10x/purge select {answer}"
        machine.run("sh", "-c", f"echo {line} | debconf-set-selections")
    done = machine.run("dpkg", "--purge", "flask10x")
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def remains(machine: Machine) -> list[str]:
    """The folders of the package that are there."""
    names = ["/var/lib/flask10x", "/var/lib/flask10x-known", "/etc/flask10x", "/opt/flask10x"]
    return [name for name in names if machine.path(name).exists()]


def restart_and_reload(machine: Machine) -> int:
    """What is ready, answers; how many readings were answered."""
    assert known(machine, "Type") == "notify"
    starts, began = worker_starts(machine), time.monotonic()
    assert machine.run("systemctl", "restart", "flask10x").returncode == 0
    assert worker_starts(machine) > starts
    restart_sec = time.monotonic() - began
    sys.stdout.write(f"\nstart: {restart_sec:.1f} s, {cpu_sec(machine):.1f} s of CPU\n")
    assert known(machine, "StatusText") == "2 workers answer"

    restarted = send_while(machine, "systemctl", "restart", "flask10x")
    say(machine, "restart", restarted)
    assert (restarted["status"], restarted["refused"]) == (0, [])
    # Beside other tests a start takes several times as long.
    assert restarted["slowest_sec"] < max(ANSWERED_WITHIN_SEC, 3 * restart_sec)

    master, former, starts = known(machine, "MainPID"), workers(machine), worker_starts(machine)
    reloaded = send_while(machine, "systemctl", "reload", "flask10x")
    say(machine, "reload", reloaded)
    assert (reloaded["status"], reloaded["refused"]) == (0, [])
    assert worker_starts(machine) >= starts + 2
    # They still answer what they have begun.
    wait_until(lambda: not {*workers(machine)} & {*former}, PATIENCE_SEC, "the former have ended")
    assert known(machine, "MainPID") == master
    return int(restarted["answered"] + reloaded["answered"])


def freeze_a_worker(machine: Machine) -> int:
    """The others go on, and it is replaced; how many readings were answered."""
    master = known(machine, "MainPID")
    frozen, other = workers(machine)
    sent = send_while(machine, "sh", "-c", FREEZE, "sh", frozen)
    say(machine, "frozen worker", sent)
    assert (sent["status"], sent["refused"]) == (0, []), sent["said"]
    wait_until(lambda: len(workers(machine)) == 2, PATIENCE_SEC, "both workers run again")
    assert other in workers(machine)
    assert (known(machine, "MainPID"), known(machine, "NRestarts")) == (master, "0")
    return int(sent["answered"])


def freeze_the_master(machine: Machine) -> int:
    """Its workers go on until systemd starts it again; how many readings were answered."""
    sent = send_while(machine, "sh", "-c", FREEZE, "sh", known(machine, "MainPID"))
    say(machine, "frozen main process", sent)
    assert (sent["status"], sent["refused"]) == (0, []), sent["said"]
    wait_until(lambda: is_active(machine), PATIENCE_SEC, "it is started again")
    assert known(machine, "NRestarts") == "1"
    assert "Watchdog timeout" in machine.run("journalctl", "--no-pager", "-u", "flask10x").stdout
    return int(sent["answered"])


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_an_update_goes_back_by_itself_and_the_next_one_comes(
    package: Path, machine: Machine, tmp_path: Path
) -> None:
    ends = next_version(package, tmp_path, "9.0.0", "import no_such_module")
    hangs = next_version(package, tmp_path, "9.0.1", "import time; time.sleep(3600)")
    newest = next_version(package, tmp_path, "9.0.2")
    machine.run("ip", "link", "set", "lo", "up")
    assert machine.run("dpkg", "-i", f"/packages/{package.name}").returncode == 0
    began = time.monotonic()
    machine.run("systemctl", "restart", "flask10x")
    restart_sec = time.monotonic() - began
    answered = 0
    for file, step, status in (
        (ends, "update to a version that does not start", 1),
        (hangs, "update to a version that hangs", 1),
        (newest, "update by the command", 0),
    ):
        sent = send_while(machine, "flask10x", "service", "update", f"/packages/{file.name}")
        say(machine, step, sent)
        assert (sent["status"], sent["refused"]) == (status, []), sent["said"]
        answers_in_time(sent, restart_sec)
        assert is_active(machine)
        # Modules and units are those of the version that runs.
        assert machine.path(f"{PROGRAMS}/commands/{LACKED}").exists() == bool(status)
        assert machine.path(f"{UNITS}/flask10x-next.service").exists() != bool(status)
        answered += sent["answered"]
        assert rows(machine) == answered
        assert not [*machine.path("/run/systemd/system").glob("flask10x*")]
    assert machine.run("dpkg", "--remove", "flask10x").returncode == 0
    assert remains(machine) == ["/var/lib/flask10x", "/var/lib/flask10x-known", "/etc/flask10x"]


def answers_in_time(sent: dict[str, Any], restart_sec: float) -> None:
    """Check that nobody waited for an update longer than boards do, whatever came of it.

    What stands in answers those whom the service leaves waiting, and nobody else. On a busy machine
    all is as late as a restart.
    """
    assert sent["slowest_sec"] < max(ANSWERED_WITHIN_SEC, STANDS_IN_AFTER_SEC + restart_sec), sent[
        "said"
    ]
    assert sent["later"] == 0 or sent["slowest_sec"] > STANDS_IN_AFTER_SEC, sent["said"]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_it_does_not_come_over_a_checkout(package: Path, tmp_path: Path) -> None:
    with booted(tmp_path, package.parent) as machine:
        machine.path("/opt/flask10x").mkdir(parents=True)
        machine.path("/opt/flask10x/pyproject.toml").touch()
        refused = machine.run("dpkg", "-i", f"/packages/{package.name}")
        assert refused.returncode != 0
        assert "Flask10X was installed another way" in refused.stderr
        assert not machine.path("/etc/flask10x").exists()


def known(machine: Machine, name: str) -> str:
    """What systemd knows of the service."""
    words = ["systemctl", "show", "--value", f"--property={name}", "flask10x"]
    return machine.run(*words).stdout.strip()


def worker_starts(machine: Machine) -> int:
    log = machine.path("/var/lib/flask10x/logs/flask10x.log").read_text(encoding="utf-8")
    return log.count("Worker starts: database")


def workers(machine: Machine) -> list[str]:
    """The process ids of the main process's children, as the system numbers them."""
    master = known(machine, "MainPID")
    return machine.run("cat", f"/proc/{master}/task/{master}/children").stdout.split()


def cpu_sec(machine: Machine) -> float:
    """What the service has used since its start."""
    return int(known(machine, "CPUUsageNSec")) / 1e9


def say(machine: Machine, step: str, sent: dict[str, Any]) -> None:
    """Say how a step went, for the figures of docs/en/reference/units.md."""
    version = machine.run("systemctl", "--version").stdout.partition("(")[0].strip()
    sys.stdout.write(
        f"{version}, {step}: {sent['answered']} answered, {len(sent['refused'])} refused,"
        f" {sent['later']} asked to send later, slowest {sent['slowest_sec']:.1f} s;"
        f" load {os.getloadavg()[0]:.1f}\n"
    )


def is_active(machine: Machine) -> bool:
    return machine.run("systemctl", "is-active", "flask10x").stdout == "active\n"


def send_while(machine: Machine, *words: str) -> dict[str, Any]:
    # Without what is set for this test and for the user who runs it.
    variables = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
    within = machine.command("env", "--ignore-environment", *variables, *words)
    sender = machine.command(sys.executable, "-c", SEND, *within, only_network=True)
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(sender, env=environment, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def rows(machine: Machine, database: str = DATABASE) -> int:
    # There, because SQLite follows /proc/<pid>/root to the files of this system.
    counted = machine.run("/usr/bin/python3", "-c", COUNT, database)
    assert counted.returncode == 0, counted.stderr
    return int(counted.stdout)
