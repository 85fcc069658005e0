"""The service of this installation under systemd: written, started, taken away again.

Each command that changes the machine is said before it runs. What is there already, settings, data
and an own choice of what is enabled, stays as it is.
"""

import json
import os
import pwd
import shlex
import shutil
import stat
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from gettext import gettext as _
from pathlib import Path
from typing import Any

from flask10x.config import settings as settings_module
from flask10x.errors import CommandFailed, ServiceError
from flask10x.system import units
from flask10x.system.units import Place

Say = Callable[[str], None]

# What compiles the templates of the pages; it is not imported, for it is above this layer.
COMPILER = "flask10x.server.templates"
# The environment of a command that is run as another user: that of root names root's files.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
KEPT_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG", "TERM")
# As the settings are: secrets stay with root and the service.
SETTINGS_MODE, FOLDER_MODE = 0o640, 0o750
UNIT_MODE = 0o644
# On a busy machine a start takes half a minute; a migration may take hours.
START_WITHIN_SEC = 90.0
# Whose units run while they are not logged in (man 1 loginctl).
LINGERING = Path("/var/lib/systemd/linger")


@dataclass(frozen=True, slots=True)
class Command:
    """A command, by whom it is run, and what it finds in its environment beside the usual."""

    words: Sequence[str]
    account: str = ""
    """The user; empty for the one of this process."""
    environment: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        before = [f"{name}={value}" for name, value in self.environment.items()]
        words = ["env", *before, *self.words] if before else list(self.words)
        return shlex.join(["sudo", "-u", self.account, *words] if self._is_another() else words)

    def _is_another(self) -> bool:
        return bool(self.account) and self.account != settings_module.process_user()

    def run(self, within_sec: float | None = None) -> bool:
        """Run it, with its output where ours goes; whether it ended in this time.

        Raises CommandFailed.
        """
        try:
            status = self._done(within_sec).returncode
        except subprocess.TimeoutExpired:
            return False
        if status:
            text = _("{command} failed, exit status {status}")
            raise CommandFailed(text.format(command=self, status=status))
        return True

    def output(self) -> str:
        """Return its output, whatever its exit status; raises CommandFailed if it is missing."""
        return str(self._done(stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)

    def _done(
        self, within_sec: float | None = None, **streams: int
    ) -> "subprocess.CompletedProcess[str]":
        options: dict[str, Any] = {"env": {**os.environ, **self.environment}}
        if self._is_another():
            account = pwd.getpwnam(self.account)
            kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
            own = {"HOME": account.pw_dir, "USER": self.account, "PATH": PATH}
            options = {
                "env": {**kept, **own, **self.environment},
                "user": account.pw_uid,
                "group": account.pw_gid,
                "extra_groups": os.getgrouplist(self.account, account.pw_gid),
                # A folder that this user may not enter would end the command.
                "cwd": "/",
            }
        options |= {"stdin": subprocess.DEVNULL, "text": True, "check": False, **streams}
        try:
            return subprocess.run(self.words, timeout=within_sec, **options)  # noqa: S603, PLW1510
        except OSError as error:
            text = _("{command} could not be run: {reason}")
            raise CommandFailed(text.format(command=self, reason=error)) from error


def run(say: Say, *commands: Command) -> None:
    """Run commands one after the other, each said before; raises CommandFailed."""
    for command in commands:
        say(f"$ {command}")
        command.run()


def own_command(place: Place, *words: str) -> Command:
    """Return a command of ours as the user of the service, who may read and write its files."""
    return Command([str(units.program()), *words], "" if place.is_user else place.account)


def install(place: Place, say: Say, *, start: bool) -> None:
    """Write the units of this version, enable those that are new, and start the service.

    Raises ServiceError when this program can't be a service there, CommandFailed, OSError.
    """
    _require_place(place)
    is_booted = _is_booted(place)
    if not place.is_user:
        try:
            pwd.getpwnam(place.account)
        except KeyError:
            words = ["useradd", "--system", "--user-group", "--home-dir", str(place.data)]
            words += ["--no-create-home", "--shell", "/usr/sbin/nologin", place.account]
            run(say, Command(words))
    _make_settings(place, say)
    with suppress(CommandFailed):
        # No start has to compile the pages then; the service may not write beside its program. Not
        # the program that may be in the folder where the command was given.
        Command([str(units.program().with_name("python")), "-P", "-m", COMPILER]).output()
    added = write_units(place, say)
    if is_booted:
        run(say, Command(place.systemctl("daemon-reload")))
    chosen = [name for name in added if _is_to_be_enabled(name, place, say)]
    if chosen:
        run(say, Command(place.systemctl("enable", "--quiet", *chosen)))
    if place.is_user and not (LINGERING / place.account).exists():
        # So that its units run while the user is not logged in; that may be root's to allow.
        command = Command(["loginctl", "enable-linger", place.account])
        try:
            run(say, command)
        except CommandFailed:
            text = _("so that it starts at boot, and not when you log in: sudo {command}")
            say(text.format(command=command))
    if not is_booted:
        say(_("systemd does not run here: the service starts at the next boot"))
    elif start:
        start_service(place, say)


def start_service(place: Place, say: Say) -> None:
    """Start or restart the service, with the units that are enabled beside it.

    Raises CommandFailed with the command that shows why.
    """
    beside = [name for name in units.names() if name.endswith((".socket", ".timer"))]
    enabled = [n for n in beside if units.property_of(place, n, "UnitFileState") == "enabled"]
    held = units.property_of(place, units.SOCKET, "ActiveState") == "active"
    try:
        runs = units.property_of(place, units.SERVICE, "ActiveState") == "active"
        if units.SOCKET in enabled and runs and not held:
            # A socket of systemd's takes over the port that the service itself has.
            run(say, Command(place.systemctl("stop", units.SERVICE)))
        if enabled:
            run(say, Command(place.systemctl("start", *enabled)))
        command = Command(place.systemctl("restart", units.SERVICE))
        say(f"$ {command}")
        while not command.run(START_WITHIN_SEC):
            if units.property_of(place, units.SERVICE, "StatusText") != units.MIGRATING:
                text = _("{command}: no answer of the service for {seconds} s")
                text = text.format(command=command, seconds=round(START_WITHIN_SEC))
                raise CommandFailed(text)
            # The start that goes on, with its migration, is waited for.
            command = Command(place.systemctl("start", units.SERVICE))
        # Where it runs: it needs a broker.
        run(say, Command(place.systemctl("try-restart", units.BY_HAND)))
    except CommandFailed as error:
        text = _("{error}; why: {command}")
        raise CommandFailed(text.format(error=error, command=place.journal())) from error


def uninstall(place: Place, say: Say) -> None:
    """Stop the service and take its units away; settings, drop-ins and data stay."""
    ours = [name for name in units.names() if (place.units / name).exists()]
    order = sorted(ours, key=lambda name: not name.endswith(".socket"))
    is_booted = _is_booted(place)
    if is_booted:
        run(say, Command(place.systemctl("disable", "--quiet", "--now", *order)))
    for name in ours:
        say(f"$ rm {place.units / name}")
        (place.units / name).unlink()
    if is_booted:
        run(say, Command(place.systemctl("daemon-reload")))


def write_units(place: Place, say: Say) -> list[str]:
    """Write the units that differ; return the names of the new ones."""
    place.units.mkdir(parents=True, exist_ok=True)
    added = []
    for name in units.names():
        path, text = place.units / name, units.text_of(name, place)
        if not path.exists():
            added.append(name)
        elif path.read_text(encoding="utf-8") == text:
            continue
        say(_("writes {path}").format(path=path))
        write(path, text, UNIT_MODE)
    return added


def write(path: Path, text: str, mode: int) -> None:
    """Make or replace a file with this mode."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.chmod(mode)
    beside.replace(path)


def _require_place(place: Place) -> None:
    """Raise ServiceError where systemd could not run this program for that user."""
    if shutil.which("systemctl") is None:
        raise ServiceError(_("systemd is not on this machine: flask10x serve runs without it"))
    if place.is_user:
        if os.geteuid() == 0:
            raise ServiceError(_("--user is for a user of the machine, not for root"))
        if " " in f"{place.data}{place.settings}":
            text = _("{path}: a service can't have a space in its paths")
            raise ServiceError(text.format(path=place.data))
        return
    if os.geteuid() != 0:
        text = _("only root may do this: {command}; or --user, for a service of your own")
        raise ServiceError(text.format(command=place.own("service", "install")))
    own = units.program()
    if any(own.resolve().is_relative_to(home) or own.is_relative_to(home) for home in units.HOMES):
        text = _(
            "{program} is in a home folder, which a service of the system cannot see: install the"
            " program in another folder, or run without sudo: {command}"
        )
        command = shlex.join([str(own), "service", "install", "--user"])
        raise ServiceError(text.format(program=own, command=command))
    for folder in own.parents:
        if not folder.stat().st_mode & stat.S_IXOTH:
            text = _("other users may not enter {folder}, so the service could not run {program}")
            raise ServiceError(text.format(folder=folder, program=own))


def _is_booted(place: Place) -> bool:
    if place.is_user:
        return bool(units.answer(place.systemctl("show-environment")))
    return units.BOOTED.is_dir()


def _make_settings(place: Place, say: Say) -> None:
    """Make the folder of the settings and their file, and for a user that of the data."""
    made = [place.settings.parent, *([place.data] if place.is_user else [])]
    made = [folder for folder in made if not folder.is_dir()]
    for folder in made:
        folder.mkdir(parents=True)
        folder.chmod(FOLDER_MODE)
    if not place.settings.exists():
        say(_("writes {path}").format(path=place.settings))
        write(place.settings, units.text_of(place.settings.name, place), SETTINGS_MODE)
        made.append(place.settings)
    if not place.is_user:
        for path in made:
            shutil.chown(path, group=place.account)


def _is_to_be_enabled(name: str, place: Place, say: Say) -> bool:
    """Return whether a unit starts at boot: the socket only at the address in the settings."""
    if name == units.BY_HAND or "[Install]" not in units.text_of(name, place):
        return False
    if name != units.SOCKET:
        return True
    lines = units.text_of(units.SOCKET, place).splitlines()
    held = next(line.partition("=")[2] for line in lines if line.startswith("ListenStream="))
    bind = settings_module.load().bind
    if bind == held or (place.units / f"{name}.d").is_dir():
        return True
    text = _(
        "{unit} is not enabled: the service listens at {bind}, and it at {held}"
        " (docs/en/howto/port.md)"
    )
    say(text.format(unit=name, bind=bind, held=held))
    return False


def failures(place: Place) -> dict[str, str]:
    """Return the failures of `flask10x check` by their names; raises CommandFailed."""
    findings = checked(place)["findings"]
    return {found["name"]: found["text"] for found in findings if found["level"] == "FAIL"}


def checked(place: Place) -> dict[str, Any]:
    """Return the answer of `flask10x check`; raises CommandFailed without one."""
    command = own_command(place, "check", "--json")
    try:
        answer: dict[str, Any] = json.loads(command.output())
    except ValueError as error:
        text = _("{command} gave no answer")
        raise CommandFailed(text.format(command=command)) from error
    return answer
