"""The units of systemd for this installation, made of those in deploy/, and `systemctl`.

The files in deploy/ are of a program in /opt/flask10x/.venv; a wheel carries them along. Where the
program is another one, or the service is a user's, the paths in them are replaced.
"""

import os
import pwd
import re
import shlex
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from flask10x.config import environment_file
from flask10x.config.environment_file import SERVICE_DATA_DIR, SERVICE_FILE, SYSTEM_UNITS
from flask10x.config.settings import CHECKOUT

_INSIDE = Path(__file__).resolve().parents[1] / "deploy"
# Where a package of the distribution has its units.
PACKAGED_UNITS = Path("/usr/lib/systemd/system")
PROGRAM = "/opt/flask10x/.venv/bin/flask10x"
DOCUMENTS = "file:///opt/flask10x/docs/"
SERVICE, SOCKET = environment_file.UNIT, "flask10x.socket"
BACKUP = "flask10x-backup.service"
# It needs a broker and its settings: docs/en/howto/mqtt.md.
BY_HAND = "flask10x-mqtt.service"
# The line "Status" of a service that starts, while it does that.
MIGRATING = "migrates the database"
KINDS = (".service", ".socket", ".timer")
# While it exists, systemd is what runs this machine (man 3 sd_booted).
BOOTED = Path("/run/systemd/system")
# What the programs that run containers leave in them.
MARKS = {"docker": Path("/.dockerenv"), "podman": Path("/run/.containerenv")}
# What a unit can't see: ProtectHome= of flask10x.service.
HOMES = (Path("/home"), Path("/root"), Path("/run/user"))

# What only the system's systemd may do, and what a user's own files would be hidden by.
SYSTEM_ONLY = {
    *("User", "Group", "StateDirectory", "StateDirectoryMode", "RemoveIPC", "OOMScoreAdjust"),
    *("ProtectSystem", "ReadWritePaths", "ProtectHome", "PrivateTmp", "PrivateDevices"),
    *("PrivateNetwork",),
    *("ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups"),
    *("ProtectHostname", "ProtectClock", "CapabilityBoundingSet", "ProtectProc", "ProcSubset"),
    *("IPAddressDeny", "IPAddressAllow"),
}
USER_HEAD = """# Written by flask10x service install --user; the reasons are in the system's {name}.
# Own changes belong into a drop-in: systemctl --user edit {name}
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service belongs: its units, its settings, its data; the system's or a user's."""

    units: Path
    settings: Path
    data: Path
    account: str
    is_user: bool = False

    @property
    def runtime_units(self) -> Path:
        """Return the folder of drop-ins until the next boot; they count before packages."""
        if not self.is_user:
            return BOOTED
        folder = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
        return Path(folder, "systemd", "user")

    def systemctl(self, *arguments: str) -> list[str]:
        """Return the command for the systemd that runs the service."""
        return ["systemctl", *(["--user"] if self.is_user else []), *arguments]

    def own(self, *words: str) -> str:
        """Return a command of ours that changes the service, as it is typed."""
        return shlex.join([*([] if self.is_user else ["sudo"]), str(program()), *words])

    def journal(self) -> str:
        """Return the command that shows what service and port said last."""
        whose = "journalctl --user" if self.is_user else "sudo journalctl"
        return f"{whose} -u {SERVICE.removesuffix('.service')} -u {SOCKET} -n 20"


def of_the_system() -> Place:
    """Return the place that the units name."""
    return Place(SYSTEM_UNITS, SERVICE_FILE, SERVICE_DATA_DIR, "flask10x")


def of_the_user() -> Place:
    """Return the place of a service of the user of this process."""
    home = Path(os.environ.get("HOME") or "/")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share") / "flask10x"
    units = environment_file.user_units(os.environ)
    account = pwd.getpwuid(os.geteuid()).pw_name
    return Place(units, config / "flask10x" / "flask10x.env", data, account, is_user=True)


def installed() -> Place | None:
    """Return the place of the service that starts this program; None when none does."""
    own = program()
    for place in (of_the_system(), of_the_user()):
        service = environment_file.service_of(place.units)
        if service is not None and service.program == own:
            return Place(place.units, service.file, service.data_dir, place.account, place.is_user)
    packaged = environment_file.service_of(PACKAGED_UNITS)
    if packaged is not None and packaged.program == own:
        return Place(PACKAGED_UNITS, SERVICE_FILE, SERVICE_DATA_DIR, "flask10x")
    return None


def container() -> str:
    """Return the program that runs the container in which this is; "" outside of one."""
    return next((engine for engine, mark in MARKS.items() if mark.exists()), "")


def program() -> Path:
    """Return the command of this installation."""
    return Path(sys.prefix, "bin", "flask10x")


def folder() -> Path:
    """Return the folder with the units: inside the package, else in the checkout."""
    return _INSIDE if _INSIDE.is_dir() else CHECKOUT / "deploy"


def names() -> list[str]:
    """Return the units that this version has."""
    return sorted(path.name for path in folder().glob("flask10x*") if path.suffix in KINDS)


def text_of(name: str, place: Place) -> str:
    """Return a unit, or the file of settings, for this program at this place."""
    text = (folder() / name).read_text(encoding="utf-8")
    if place.is_user and Path(name).suffix in KINDS:
        # Without what only the system's systemd may do, and started with the user's other units.
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        kept = [line for line in lines if line.partition("=")[0] not in SYSTEM_ONLY]
        joined = re.sub(r"\n{3,}", "\n\n", "\n".join(kept).strip())
        joined = joined.replace("multi-user.target", "default.target")
        text = f"{USER_HEAD.format(name=name)}\n{joined}\n"
    elif place.is_user:
        text = text.replace("sudo systemctl", "systemctl --user")
    text = text.replace(PROGRAM, _escaped(program()))
    documents = Path(sys.prefix).parent / "docs"
    if (documents / "en").is_dir():
        text = text.replace(DOCUMENTS, f"file://{documents}/")
    else:
        text = re.sub(rf"^Documentation={DOCUMENTS}.*\n", "", text, flags=re.MULTILINE)
    if place.is_user:
        own = {SERVICE_FILE.parent: place.settings.parent, SERVICE_DATA_DIR: place.data}
        for path, mine in own.items():
            text = text.replace(str(path), str(mine).replace("%", "%%"))
    return text


def _escaped(path: Path) -> str:
    text = str(path).replace("%", "%%")
    return f'"{text}"' if " " in text else text


def answer(command: list[str], within_sec: float | None = None) -> str:
    """Return the output of a command; "" if it is missing, fails or takes longer."""
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(  # noqa: S603
            command,
            capture_output=True,
            text=True,
            check=True,
            stdin=subprocess.DEVNULL,
            timeout=within_sec,
        ).stdout.strip()
    return ""


def property_of(place: Place, unit: str, name: str) -> str:
    """Return a property of a unit; "" if systemd does not answer."""
    return answer(place.systemctl("show", "--value", f"--property={name}", unit))
