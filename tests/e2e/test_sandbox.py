"""The hardening of the units: how much systemd thinks of it, and that everything works in it.

systemd itself can't be run here. But what its lists of system calls forbid can be made to fail by
strace, and the kernel can refuse memory that is both written and run, as the units ask for.
"""

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from flask10x.config import settings as settings_module
from flask10x.database.running_service import running
from flask10x.errors import ServiceError
from tests.contract.test_deploy import DEPLOY, LITESTREAM, REPLICA, SERVICES, needs_systemd
from tests.e2e.conftest import MakeService
from tests.e2e.service import PATIENCE_SEC, Service, wait_until
from tests.e2e.test_replica import Litestream, needs_litestream
from tests.e2e.test_stopping import reload_workers
from tests.support.strace import need_strace

pytestmark = pytest.mark.tools

# 1.5 on systemd's scale from 0 (nothing is possible) to 10.
THRESHOLD = "15"
# prctl(2); a kernel before 6.3 does not know it.
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
REFUSE_WRITE_EXECUTE = f"""
import ctypes, os, sys
assert ctypes.CDLL(None).prctl({PR_SET_MDWE}, {PR_MDWE_REFUSE_EXEC_GAIN}, 0, 0, 0) == 0
os.execvp(sys.argv[1], sys.argv[1:])
"""
GOOD = {"pressure": 1013.25, "temperature": 25.1}


def lines_of(unit: str, key: str) -> list[str]:
    lines = (DEPLOY / unit).read_text(encoding="utf-8").splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(f"{key}=")]


@cache
def calls_in(group: str) -> frozenset[str]:
    """The names of the system calls in a group such as `@chown`, groups in it included."""
    listed = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", group],
        capture_output=True,
        text=True,
        check=True,
    )
    names = [line.strip() for line in listed.stdout.splitlines() if line.startswith("    ")]
    named = {name for name in names if not name.startswith(("#", "@"))}
    return frozenset(named.union(*(calls_in(name) for name in names if name.startswith("@"))))


def forbidden_calls(unit: str) -> set[str]:
    """What the unit's SystemCallFilter= lines leave out, read as systemd reads them."""
    allowed: set[str] = set()
    for line in lines_of(unit, "SystemCallFilter"):
        names = line.removeprefix("~").split()
        named = set().union(*(calls_in(name) if name[0] == "@" else {name} for name in names))
        allowed = allowed - named if line.startswith("~") else allowed | named
    return set(calls_in("@known")) - allowed


@needs_systemd
@pytest.mark.parametrize("unit", [*SERVICES, REPLICA])
def test_systemd_finds_the_unit_hard(tmp_path: Path, unit: str) -> None:
    text = (DEPLOY / unit).read_text(encoding="utf-8")
    unit = Path(unit).name
    text = text.replace("/opt/flask10x/.venv/bin/flask10x", "/bin/true")
    (tmp_path / unit).write_text(text.replace(LITESTREAM, "/bin/true"))
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager"]
    judged = subprocess.run(
        [*command, f"--threshold={THRESHOLD}", f"./{unit}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stdout + judged.stderr


@pytest.mark.parametrize("unit", [*SERVICES, REPLICA])
def test_a_forbidden_call_fails_and_does_not_kill(unit: str) -> None:
    assert lines_of(unit, "SystemCallErrorNumber") == ["EPERM"]
    assert lines_of(unit, "SystemCallArchitectures") == ["native"]
    assert lines_of(unit, "MemoryDenyWriteExecute") == ["yes"]


class Sandbox:
    """A command in which what a unit forbids fails; `violations` is what was tried all the same."""

    def __init__(self, unit: str, log: Path) -> None:
        calls = ",".join(f"?{name}" for name in sorted(forbidden_calls(unit)))
        self._log = log
        # -DDD: strace leaves the process its id and its place among the others.
        traced = ("strace", "-DDD", "-f", "-qq", "-e", "signal=none", "-o", str(log))
        denied = ("-e", f"trace={calls}", "-e", f"inject={calls}:error=EPERM")
        refusing = (sys.executable, "-c", REFUSE_WRITE_EXECUTE)
        self.command = (*traced, *denied, *refusing)

    def violations(self) -> list[str]:
        return self._log.read_text().splitlines()


@pytest.fixture
def need_sandbox() -> None:
    need_strace()
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: nobody says what the units forbid")
    probe = f"import ctypes, os; os._exit(-ctypes.CDLL(None).prctl({PR_SET_MDWE}, 1, 0, 0, 0))"
    if subprocess.run([sys.executable, "-c", probe], check=False).returncode:
        pytest.skip("this kernel can't refuse memory that is both written and run")


@pytest.mark.usefixtures("need_sandbox")
def test_the_service_works_in_its_sandbox(service: MakeService, tmp_path: Path) -> None:
    sandbox = Sandbox("flask10x.service", tmp_path / "calls")
    running = service(start=False)
    running.wrapper = sandbox.command
    running.starts_migrated = False
    running.start()
    running.wait_for_workers()
    for _ in range(3):
        assert running.post("data", GOOD).status == 200
    assert running.post("data", {}).status == 400
    running.wait_for_rows(3)
    for path in ("/", "/history", "/history.csv", "/history/rejected", "/metrics", "/readyz"):
        assert running.get(path).status == 200
    reload_workers(running)
    assert running.post("data", GOOD).status == 200
    running.wait_for_rows(4)
    running.stop()
    assert sandbox.violations() == []
    assert [line for line in running.log() if " ERROR " in line and "validation" not in line] == []


@pytest.mark.usefixtures("need_sandbox")
def test_a_socket_file_works_in_the_sandbox(service: MakeService, tmp_path: Path) -> None:
    sandbox = Sandbox("flask10x.service", tmp_path / "calls")
    made = service(start=False, bind=f"unix:{tmp_path}/flask10x.sock")
    made.wrapper = sandbox.command
    made.starts_migrated = False
    made.launch()
    wait_until(lambda: answers(made), 30, "the service answers on its socket file")
    made.stop()
    assert sandbox.violations() == []


def answers(service: Service) -> bool:
    assert service.process.poll() is None, service.output()
    try:
        found = running(settings_module.load(service.environment))
        return found is not None and found.ask("/healthz") == {"status": "ok"}
    except (OSError, ServiceError):
        return False


@pytest.mark.usefixtures("need_sandbox")
@pytest.mark.parametrize("command", ["export", "backup", "verify"])
def test_the_nightly_commands_work_in_their_sandbox(
    service: MakeService, tmp_path: Path, command: str
) -> None:
    running = service()
    assert running.post("data", GOOD).status == 200
    running.wait_for_rows(1)
    sandbox = Sandbox(f"flask10x-{command}.service", tmp_path / "calls")
    running.wrapper = sandbox.command
    running.starts_migrated = False
    done = running.run("-m", "flask10x", command)
    assert (done.returncode, done.stderr) == (0, "")
    assert sandbox.violations() == []
    running.stop()


@needs_litestream
@pytest.mark.sqlite_only("Litestream replicates files of SQLite")
@pytest.mark.usefixtures("need_sandbox")
def test_litestream_works_in_its_sandbox(service: MakeService, tmp_path: Path) -> None:
    sandbox = Sandbox(REPLICA, tmp_path / "calls")
    running = service(ack="committed")
    litestream = Litestream(running)
    litestream.start(*sandbox.command)
    assert running.post("data", GOOD).status == 200
    wait_until(lambda: len(litestream.carried()) == 1, PATIENCE_SEC, "it carries")
    litestream.kill()
    assert sandbox.violations() == []


@pytest.mark.usefixtures("need_sandbox")
def test_the_sandbox_holds_what_the_unit_says(tmp_path: Path) -> None:
    """Else the tests above would prove nothing."""
    sandbox = Sandbox("flask10x-backup.service", tmp_path / "calls")
    tried = """
import mmap, os
def written_and_run(): mmap.mmap(-1, 1, prot=7)
for attempt in (lambda: os.nice(1), lambda: os.chroot("."), written_and_run):
    try:
        attempt()
    except PermissionError as error:
        print(type(error).__name__)
"""
    done = subprocess.run(
        [*sandbox.command, sys.executable, "-c", tried],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "PermissionError\n" * 3
    assert ["setpriority" in sandbox.violations()[0], len(sandbox.violations())] == [True, 2]
