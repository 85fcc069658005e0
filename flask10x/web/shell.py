"""Commands for a shell as they are typed where this service runs.

It runs as a unit of systemd, in a container, or from a terminal: what has started it also stops it,
has its log and runs something each night.
"""

import os
import re
import shlex
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import flask10x
from flask10x.config.environment_file import SERVICE_DATA_DIR
from flask10x.config.settings import CHECKOUT, PREFIX, Settings, is_checkout, process_user
from flask10x.database.paths import database_path
from flask10x.database.running_service import running
from flask10x.database.sqlite.litestream import folder_beside
from flask10x.system import units
from flask10x.system.log_file import FILE_NAME

Manner = Literal["systemd", "container", "terminal"]

# In which unit of systemd this process is: `0::/system.slice/flask10x.service`.
CGROUP = Path("/proc/self/cgroup")
UNIT = re.compile(r":/(?!user\.slice)(?:[^/\n]+/)*?([^/\n]+)\.service(?:/|$)", re.MULTILINE)
# The unit of the machine that makes the container: deploy/container/flask10x.container names it.
UNIT_OF_CONTAINER = "PODMAN_SYSTEMD_UNIT"
IMAGE = f"localhost/flask10x:{flask10x.__version__}"
# As in deploy/crontab.example.
NIGHTLY = {"backup": "35 0 * * *", "export": "5 0 * * *", "verify": "5 2 * * 0"}

UNITS = Path("/etc/systemd/system")
TIMERS = "flask10x-export.timer flask10x-backup.timer"
# Do it now, see what it said, and do it each night from now on.
RUN_TIMER = (
    "sudo systemctl start {0}\njournalctl -u {0} -n 5\nsudo systemctl enable --now {0}.timer"
)
# Litestream must not run beside it.
CLEAN = "sudo journalctl --vacuum-size=100M\nsudo apt-get clean"
# Of all manners; `{restart}`, `{offline}` and the like are those of this one.
COMMANDS = {
    "kernel": "sudo dmesg | tail -n 50",
    "space": f"df -h {{folder}}\n{CLEAN}\nsudo du -xhd 1 {{folder}}",
    "fewer_backups": "{flask10x} backup --keep 7",
    "holders": "sudo fuser -v {database}",
    "owner": "ls -l {folder}\nsudo chown -R {user}: {folder}\n{restart}",
    "backup": "{flask10x} backup /mnt/usb/flask10x",
    "back_up_nightly": "{nightly_backup}",
    "verify_weekly": "{nightly_verify}",
    "verify_repair": "{flask10x} verify --repair",
    "copy_backups": "rsync -a --exclude '.*' {login}:{backups}/ flask10x-backups/",
    "export_nightly": "{nightly_export}",
    "export_again": "{flask10x} export",
    "archived_file": "{flask10x} export --archived {path}",
    "restore_file": "{flask10x} export --restore-file COPY",
    "fix": "{flask10x} {arguments}",
    "compare": "{flask10x} export --verify",
    # The service must not run meanwhile.
    **dict.fromkeys(
        ("restore_backup", "restore_any", "restore_rescued"),
        "{stop}\n{offline} restore {file}\n{start}",
    ),
    "restore_copy": "{flask10x} restore {file}",
    "start_litestream": "litestream replicate -config litestream.yml",
    # As `litestream reset`, which needs the replica's place and keys for it.
    "reset_litestream": "rm -r {litestream}",
    "mount": "lsblk -f\nsudo mount -a",
    "begin": "{flask10x} migrate --new",
    "restart": "{restart}",
    "log": "{log}",
}
"""The lines for a shell that belong to a remedy, by its name."""
ONLY_SYSTEMD = {
    "export_again": RUN_TIMER.format("flask10x-export"),
    "back_up_nightly": RUN_TIMER.format("flask10x-backup"),
    "export_nightly": RUN_TIMER.format("flask10x-export"),
    "start_litestream": "sudo systemctl restart flask10x-litestream\n"
    "journalctl -u flask10x-litestream -n 20",
    "log_of_litestream": "journalctl -u flask10x-litestream -n 20",
    "reset_litestream": "sudo systemctl stop flask10x-litestream\nsudo rm -r {litestream}\n"
    "sudo systemctl start flask10x-litestream",
    "verify_weekly": RUN_TIMER.format("flask10x-verify"),
}
ONLY_CONTAINER = {
    "space": "{engine} exec {name} df -h {folder}\n{engine} system df",
    "holders": "{engine} top {name}",
    "owner": "{engine} exec {name} ls -l {folder}\n"
    "{engine} exec --user root {name} chown -R {user}: {folder}\n{restart}",
    "copy_backups": "ssh {login} {engine} cp {name}:{backups} - > flask10x-backups.tar",
    "mount": "{engine} inspect --format '{{{{json .Mounts}}}}' {name}\n{restart}",
}


def how_it_runs() -> tuple[Manner, str]:
    """Return how this service runs, and the name of its unit or of its container's program."""
    if engine := units.container():
        return "container", engine
    # Cron is a unit, too, but hands this variable to none of its jobs (man 5 systemd.exec).
    if "INVOCATION_ID" in os.environ:
        # Without a match it is a unit of a user's session, of which the system does not know.
        with suppress(OSError):
            if match := UNIT.search(CGROUP.read_text(encoding="utf-8")):
                return "systemd", match[1]
    return "terminal", ""


@dataclass(frozen=True)
class Shell:
    """Writes commands for this service."""

    settings: Settings
    manner: Manner
    by: str
    """The unit, or the program of the container; empty in a terminal."""

    def command(self, name: str, **values: object) -> str:
        """Return the lines of this name, each value as one word of a shell, a list as several."""
        only = {"systemd": ONLY_SYSTEMD, "container": ONLY_CONTAINER}.get(self.manner, {})
        lines = only.get(name) or COMMANDS.get(name, "")
        path = database_path(self.settings)
        values |= {
            "litestream": folder_beside(path),
            "folder": path.parent,
            "database": path,
            "backups": self.settings.backup_dir,
        }
        return lines.format(
            **{name: _quoted(value) for name, value in values.items()},
            **self._of_the_service(),
            user=process_user(),
            flask10x=self.flask10x(),
            offline=self._offline(),
            nightly_backup=self._nightly("backup"),
            nightly_export=self._nightly("export"),
            nightly_verify=self._nightly("verify"),
            engine=self._engine,
            name=_container(),
        )

    def flask10x(self, *arguments: str) -> str:
        """A command of ours, run as the user who runs the service."""
        words = shlex.join([str(_program()), *arguments])
        if self.manner == "container":
            return f"{self._engine} exec {_container()} {words}"
        if self.manner == "terminal":
            return words
        return f"sudo {words}" if process_user() == "root" else f"sudo -u {process_user()} {words}"

    def installing(self, extra: str) -> str:
        """What installs the libraries of an extra of the package beside this program."""
        if self.manner == "terminal" and is_checkout():
            return f"make {extra}"
        lock = CHECKOUT / f"requirements-{extra}.lock"
        words = [sys.executable, "-m", "pip", "install"]
        named = ["--require-hashes", "--requirement", str(lock)]
        line = shlex.join([*words, *(named if lock.is_file() else [f"flask10x[{extra}]"])])
        if self.manner == "container":
            return f"{self._engine} exec --user root {_container()} {line}"
        return f"sudo {line}" if self.manner == "systemd" else line

    @property
    def reload(self) -> str:
        """What makes the service read its TOML files again."""
        return self._of_the_service()["reload"]

    @property
    def _engine(self) -> str:
        """What a shell calls for the container: that of a unit of the machine is root's."""
        return f"sudo {self.by}" if _unit_of_container() else self.by

    def _offline(self) -> str:
        """The same while the service is stopped, and its container with it."""
        if self.manner != "container":
            return self.flask10x()
        name, engine = _container(), self._engine
        folder = shlex.quote(f"{PREFIX}DATA_DIR={self.settings.data_dir}")
        if unit := _unit_of_container():
            # With the unit the container goes, but its volume of the same name stays.
            image, volumes = IMAGE, f"--volume {unit}:{SERVICE_DATA_DIR}"
        else:
            image = f"$({engine} inspect --format '{{{{.Image}}}}' {name})"
            volumes = f"--volumes-from {name}"
        return f"{engine} run --rm {volumes} --env {folder} {image} {_program()}"

    def _of_the_service(self) -> dict[str, str]:
        """Return how it is stopped, started and asked for its log."""
        unit = self.by if self.manner == "systemd" else _unit_of_container()
        if self.manner == "terminal":
            service = None
            with suppress(OSError):
                service = running(self.settings)
            pid = service.pid if service else str(os.getppid())
            stop, start = f"kill {pid} && tail --pid={pid} -f /dev/null", f"{self.flask10x()} serve"
            return {
                "stop": stop,
                "start": start,
                "restart": f"{stop}\n{start}",
                "reload": f"kill -HUP {pid}",
                "log": f"tail -n 50 {shlex.quote(str(self.settings.log_dir / FILE_NAME))}",
            }
        name = _container()
        if not unit:
            words = {word: f"{self.by} {word} {name}" for word in ("stop", "start", "restart")}
            reload = f"{self._engine} kill --signal HUP {name}"
            return words | {"reload": reload, "log": f"{self.by} logs --tail 50 {name}"}
        stopped = started = f"{unit}.socket {unit}"
        reload = f"{self._engine} kill --signal HUP {name}"
        if self.manner == "systemd":
            # The unit that holds the port would start the service again.
            socket = f"{unit.removesuffix('.service')}.socket"
            has_socket = (UNITS / socket).exists()
            started, reload = f"{unit} {TIMERS}", f"sudo systemctl reload {unit}"
            stopped = f"{socket} {started}" if has_socket else started
        return {
            "stop": f"sudo systemctl stop {stopped}",
            "start": f"sudo systemctl start {started}",
            "restart": f"sudo systemctl restart {unit}",
            "reload": reload,
            "log": f"journalctl -u {unit} -n 50",
        }

    def _nightly(self, word: str) -> str:
        """Do it now, and each night by cron."""
        now = self.flask10x(word)
        # The jobs of root do without sudo.
        sudo = "sudo " if self.manner == "container" and _unit_of_container() else ""
        line = shlex.quote(f"{NIGHTLY[word]} {now.removeprefix(sudo)}")
        return f"{now}\n({sudo}crontab -l 2>/dev/null; echo {line}) | {sudo}crontab -"


def shell(settings: Settings) -> Shell:
    """That of this process."""
    return Shell(settings, *how_it_runs())


def _program() -> Path:
    # Beside the Python that runs this.
    return Path(sys.executable).with_name("flask10x")


def _container() -> str:
    # Its name within is the beginning of its id, by which it is found from without.
    return socket.gethostname()


def _unit_of_container() -> str:
    return os.environ.get(UNIT_OF_CONTAINER, "").removesuffix(".service")


def _quoted(value: object) -> str:
    return shlex.join(value) if isinstance(value, list) else shlex.quote(str(value))
