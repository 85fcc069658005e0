"""`flask10x service` of a checkout and of a wheel, in a system that is booted for it.

A repository has versions: one that is well, one whose check is not, one that does not start, one
that hangs, one that cannot be installed. Each is asked for while boards send.
"""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.service import PATIENCE_SEC, wait_until
from tests.e2e.test_package import DATABASE, answers_in_time, is_active, rows, say, send_while
from tests.support.booted import Machine, booted

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

PROJECT = Path(__file__).resolve().parents[2]
VENDOR = Path("flask10x/web/static/vendor")
CHECKOUT = "/opt/flask10x"
PYTHON, PROGRAM = f"{CHECKOUT}/.venv/bin/python", f"{CHECKOUT}/.venv/bin/flask10x"
USER_ID = 1500
# Debian's: another may be in a home, which the service does not see.
BASE = "/usr/bin/python3"
# Nothing is fetched from elsewhere.
ENVIRONMENT = ("env", "PIP_NO_INDEX=1", "PIP_FIND_LINKS=/packages/wheels")
MIGRATION = '''"""A table of the next version.

Revision: {number}, after {before}
"""

import sqlalchemy as sa
from alembic import op

revision = "{number}"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("of_{number}", sa.Column("id", sa.Integer(), primary_key=True))


def downgrade() -> None:
    op.drop_table("of_{number}")
'''


class Repository:
    """A bare repository, and a clone in which its versions are made."""

    def __init__(self, folder: Path) -> None:
        self.bare, self._clone = folder / "flask10x.git", folder.parent / "clone"
        self._git_in(PROJECT, "clone", "--quiet", "--bare", str(PROJECT), str(self.bare))
        self._git_in(self.bare, "branch", "--force", "main", "HEAD")
        self._git_in(self.bare, "symbolic-ref", "HEAD", "refs/heads/main")
        self._git_in(folder, "clone", "--quiet", str(self.bare), str(self._clone))

    def _git_in(self, folder: Path, *words: str) -> None:
        who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
        subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)

    def change(self, name: str, pattern: str, new: str) -> None:
        """Replace what the pattern finds first in a file, which it has to."""
        path = self._clone / name
        text, count = re.subn(pattern, new, path.read_text(), count=1, flags=re.M)
        assert count == 1, (name, pattern)
        path.write_text(text)

    def version(self, number: str, *, on_main: bool) -> None:
        """Commit it all as this version, with a tag; only there, or also on the branch."""
        self.change("flask10x/__init__.py", r'^__version__ = ".*"', f'__version__ = "{number}"')
        self._git_in(self._clone, "add", "--all")
        self._git_in(self._clone, "commit", "--quiet", "--message", number)
        self._git_in(self._clone, "tag", f"v{number}")
        self._git_in(self._clone, "push", "--quiet", "origin", f"v{number}")
        if on_main:
            self._git_in(self._clone, "push", "--quiet", "origin", "HEAD:main")
        else:
            self._git_in(self._clone, "reset", "--quiet", "--hard", "origin/main")

    def wheel(self, number: str) -> str:
        """The path of this version as a wheel, in the booted system."""
        self._git_in(self._clone, "checkout", "--quiet", f"v{number}")
        # In the place of `make static`.
        shutil.copytree(PROJECT / VENDOR, self._clone / VENDOR, dirs_exist_ok=True)
        build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir"]
        words = [*build, str(self.bare.parent), str(self._clone)]
        subprocess.run(words, check=True, capture_output=True)
        self._git_in(self._clone, "checkout", "--quiet", "-")
        return f"/packages/flask10x-{number}-py3-none-any.whl"

    def migrate(self) -> None:
        """Give the next version a migration."""
        versions = self._clone / "migrations" / "versions"
        newest = max(path.name[:4] for path in versions.glob("[0-9]*.py"))
        number = max(9000, int(newest) + 1)
        text = MIGRATION.format(before=newest, number=number)
        (versions / f"{number}_next.py").write_text(text)


@dataclass(frozen=True)
class Program:
    """A program that is installed, and who calls it: root, or a user."""

    machine: Machine
    path: str
    user: str = ""
    home: str = "/var/lib"

    @property
    def database(self) -> str:
        return f"{self.home}/flask10x/flask10x.sqlite3"

    def as_caller(self, *words: str) -> tuple[str, ...]:
        """A command, with packages that need no network."""
        if not self.user:
            return (*ENVIRONMENT, *words)
        home = ("env", "-C", "/home/anna", "HOME=/home/anna")
        # After `su` the PATH is still that of root.
        path = "PATH=/root/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        session = (*home, f"XDG_RUNTIME_DIR=/run/user/{USER_ID}", path)
        return ("runuser", "-u", self.user, "--", *ENVIRONMENT, *session, *words)

    def words(self, *words: str) -> tuple[str, ...]:
        return self.as_caller(self.path, *words)

    def run(self, *words: str) -> str:
        return self.call(self.path, *words)

    def call(self, *words: str) -> str:
        done = self.machine.run(*self.as_caller(*words))
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def control(self, word: str) -> str:
        """What `systemctl` says of the service."""
        whose = ["--user"] if self.user else []
        return self.machine.run(*self.as_caller("systemctl", *whose, word, "flask10x")).stdout

    def runs(self) -> bool:
        return self.control("is-active") == "active\n"


@pytest.fixture
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    # The booted system has a file system of its own in `tmp_path`.
    packages = tmp_path_factory.mktemp("repository") / "packages"
    packages.mkdir()
    say_version = "import sys; print('%d.%d' % sys.version_info[:2])"
    version = subprocess.run([BASE, "-c", say_version], check=True, capture_output=True, text=True)
    lock = str(PROJECT / "requirements.lock")
    # pipx brings pip up to date.
    for words in (["--require-hashes", "--requirement", lock], ["--no-deps", "pip>=23.1"]):
        download = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:"),
            *("--python-version", version.stdout.strip(), "--dest", str(packages / "wheels")),
        ]
        if subprocess.run([*download, *words], check=False).returncode:
            pytest.skip("the packages of the lock cannot be fetched")
    shutil.copytree(PROJECT / VENDOR, packages / "vendor")
    return Repository(packages)


@pytest.fixture
def machine(repository: Repository, tmp_path: Path) -> Iterator[Machine]:
    """The first version, installed as docs/en/tutorial/service.md says for a checkout."""
    repository.version("2.0.0", on_main=True)
    with booted(tmp_path, repository.bare.parent) as machine:
        install = [
            ("git", "clone", "--quiet", "/packages/flask10x.git", CHECKOUT),
            # In the place of `make static`, which needs a network.
            ("cp", "-r", "/packages/vendor", f"{CHECKOUT}/{VENDOR.parent}"),
            (BASE, "-m", "venv", f"{CHECKOUT}/.venv"),
            pip("--require-hashes", "--requirement", f"{CHECKOUT}/requirements.lock"),
            pip("--no-deps", "--no-build-isolation", CHECKOUT),
            (PROGRAM, "service", "install"),
        ]
        for words in install:
            done = machine.run(*words)
            assert done.returncode == 0, (words, done.stdout, done.stderr, journal(machine))
        assert is_active(machine)
        yield machine


def journal(machine: Machine) -> str:
    return machine.run("journalctl", "--no-pager", "-u", "flask10x", "-n", "30").stdout


def pip(*words: str) -> tuple[str, ...]:
    return (*ENVIRONMENT, PYTHON, "-m", "pip", "install", "--quiet", *words)


def update(machine: Machine, *target: str, of: Program | None = None) -> tuple[int, str]:
    """The update under load: its status and what it says; no sender was refused, none lost."""
    program = of or Program(machine, PROGRAM)
    began = time.monotonic()
    program.control("restart")
    restart_sec = time.monotonic() - began
    before = rows(machine, program.database)
    sent = send_while(machine, *program.words("service", "update", *target))
    say(machine, f"update to {' '.join(target) or 'the newest'}", sent)
    assert sent["refused"] == [], sent["said"]
    # A sender that has given up leaves what it has sent, which is stored later.
    assert rows(machine, program.database) >= before + sent["answered"], sent["said"]
    answers_in_time(sent, restart_sec)
    return sent["status"], sent["said"]


def version_of(machine: Machine) -> str:
    return machine.run(PROGRAM, "--version").stdout.rpartition(" ")[2].strip()


def has_table(machine: Machine, database: str = DATABASE, *, number: int = 9000) -> bool:
    look = f"SELECT count(*) FROM sqlite_master WHERE name = 'of_{number}'"
    script = (
        f"import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute({look!r}).fetchone())"
    )
    return machine.run("/usr/bin/python3", "-c", script, database).stdout == "(1,)\n"


def test_a_checkout_is_updated_and_goes_back_by_itself(
    repository: Repository, machine: Machine
) -> None:
    repository.migrate()
    repository.version("3.0.0", on_main=True)
    status, said = update(machine)
    assert (status, version_of(machine), has_table(machine)) == (0, "3.0.0", True), said
    assert is_active(machine)
    assert len(list(machine.path("/var/lib/flask10x/backups").glob("*.sqlite3"))) == 1

    # Back to a tag, whose program does not know the table.
    status, said = update(machine, "v2.0.0")
    assert (status, version_of(machine)) == (1, "3.0.0"), said
    assert is_active(machine)

    # What a check finds, after its start has brought the database to it.
    repository.change(
        "flask10x/maintenance/check.py",
        r'return Finding\("ok", "service"',
        'return Finding("FAIL", "service"',
    )
    repository.migrate()
    repository.version("4.0.0", on_main=False)
    status, said = update(machine, "v4.0.0")
    assert (status, version_of(machine), has_table(machine)) == (1, "3.0.0", True), said
    assert "FAIL since the update: service" in said
    assert not has_table(machine, number=9001)

    # What ends its start.
    repository.change("flask10x/commands/serve.py", r"^import os$", "import os_")
    repository.version("5.0.0", on_main=False)
    status, said = update(machine, "v5.0.0")
    assert (status, version_of(machine)) == (1, "3.0.0"), said

    # What never answers: it migrates, and then waits.
    repository.change(
        "flask10x/server/gunicorn_conf.py",
        r"^        if _missing:$",
        "        time.sleep(3600)\n        if _missing:",
    )
    repository.version("5.1.0", on_main=False)
    status, said = update(machine, "v5.1.0")
    assert (status, version_of(machine)) == (1, "3.0.0"), said
    assert "no answer of the service" in said

    # What pip refuses. (It checks no hash of what is installed already.)
    repository.change("requirements.lock", r"^flask==[0-9.]+", "flask==0.0.1")
    repository.version("6.0.0", on_main=False)
    status, said = update(machine, "v6.0.0")
    assert (status, version_of(machine)) == (1, "3.0.0"), said

    # After all of that it is on its branch, and the next one is taken; then a tag, and the newest.
    repository.version("7.0.0", on_main=True)
    for target, expected in (("", "7.0.0"), ("v3.0.0", "3.0.0"), ("", "7.0.0")):
        status, said = update(machine, *filter(None, [target]))
        assert (status, version_of(machine)) == (0, expected), said


def installed_by_pip(machine: Machine, wheel: str) -> Program:
    program = Program(machine, "/opt/own/bin/flask10x")
    program.call(BASE, "-m", "venv", "/opt/own")
    program.call("/opt/own/bin/python", "-m", "pip", "install", "--quiet", wheel)
    return program


def installed_by_pipx(machine: Machine, wheel: str) -> Program:
    program = Program(machine, "/usr/local/bin/flask10x")
    folders = ("PIPX_HOME=/opt/pipx", "PIPX_BIN_DIR=/usr/local/bin")
    program.call("env", *folders, "pipx", "install", "--python", BASE, wheel)
    return program


def installed_by_a_user(machine: Machine, wheel: str) -> Program:
    program = Program(machine, "/home/anna/.local/bin/flask10x", "anna", "/home/anna/.local/share")
    for words in (
        ("useradd", "--create-home", f"--uid={USER_ID}", "anna"),
        # As for one who is logged in. logind knows no process that has come from outside.
        ("systemd-run", "--quiet", "--wait", "loginctl", "enable-linger", "anna"),
    ):
        done = machine.run(*words)
        assert done.returncode == 0, done.stderr
    runtime = machine.path(f"/run/user/{USER_ID}/systemd/private")
    wait_until(runtime.exists, PATIENCE_SEC, "the user has a systemd")
    program.call("pipx", "install", "--python", BASE, wheel)
    return program


@pytest.mark.parametrize("install", [installed_by_pip, installed_by_pipx, installed_by_a_user])
def test_a_wheel_becomes_a_service_and_is_updated(
    repository: Repository, tmp_path: Path, install: Callable[[Machine, str], Program]
) -> None:
    if shutil.which("pipx", path="/usr/bin") is None:
        pytest.skip("pipx is not installed")
    repository.version("2.0.0", on_main=True)
    repository.migrate()
    repository.version("3.0.0", on_main=True)
    repository.change("flask10x/commands/serve.py", r"^import os$", "import os_")
    repository.version("5.0.0", on_main=True)
    first, second, broken = (repository.wheel(number) for number in ("2.0.0", "3.0.0", "5.0.0"))
    with booted(tmp_path, repository.bare.parent) as machine:
        program = install(machine, first)
        said = program.run("service", "install", *(["--user"] if program.user else []))
        assert re.search(r"http://\S+/setup/link/", said), said
        assert program.runs()
        said = program.run("service", "status")
        assert said.startswith("flask10x 2.0.0: "), said
        assert len(re.findall(r"^flask10x.*\bactive +enabled", said, re.M)) == 5, said

        status, said = update(machine, second, of=program)
        assert (status, program.run("--version")) == (0, "flask10x, version 3.0.0\n"), said
        assert has_table(machine, program.database)
        status, said = update(machine, broken, of=program)
        assert (status, program.run("--version")) == (1, "flask10x, version 3.0.0\n"), said
        assert program.runs()

        stored = rows(machine, program.database)
        said = program.run("service", "uninstall")
        assert "Readings, CSV files and backups are still in" in said
        assert not program.runs()
        assert rows(machine, program.database) >= stored > 0
        folders = ("/etc/systemd/system", "/home/anna/.config/systemd/user")
        left = [path for name in folders for path in machine.path(name).glob("**/flask10x*")]
        assert left == []
