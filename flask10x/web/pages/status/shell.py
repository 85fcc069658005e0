"""The commands that the page shows, as they are typed on this machine (docs/en/howto)."""

import os
import pwd
import shlex
import sys
from pathlib import Path

SERVICE = "flask10x"
EXPORT, BACKUP = "flask10x-export", "flask10x-backup"
UNITS = f"{SERVICE} {EXPORT}.timer {BACKUP}.timer"

RESTART = f"sudo systemctl restart {SERVICE}"
JOURNAL = f"journalctl -u {SERVICE} -n 50"
RELOAD = f"sudo systemctl reload {SERVICE}"
MOUNT = "lsblk -f\nsudo mount -a"
KERNEL = "sudo dmesg | tail -n 50"


def flask10x(*arguments: str) -> str:
    """A command of ours, run as the user who runs the service."""
    # Beside the Python that runs this.
    program = Path(sys.executable).with_name("flask10x")
    return f"sudo -u {_user()} {shlex.join([str(program), *arguments])}"


def restore(file: str) -> str:
    """Go back to a backup or to a rescued copy: the service must not run meanwhile."""
    lines = (f"sudo systemctl stop {UNITS}", flask10x("restore", file))
    return "\n".join((*lines, f"sudo systemctl start {UNITS}"))


def space(folder: Path) -> str:
    """What makes room on most systems, and what shows where it went."""
    where = shlex.quote(str(folder))
    clean = ("sudo journalctl --vacuum-size=100M", "sudo apt-get clean")
    return "\n".join((f"df -h {where}", *clean, f"sudo du -xhd 1 {where}"))


def owner(folder: Path) -> str:
    """Who may write into the folder, and how the service's user may again."""
    where, user = shlex.quote(str(folder)), _user()
    return f"ls -l {where}\nsudo chown -R {user}: {where}\n{RESTART}"


def holders(database: Path) -> str:
    """Which programs have the database open."""
    return f"sudo fuser -v {shlex.quote(str(database))}"


def run_timer(unit: str) -> str:
    """Do it now, see what it said, and do it each night from now on."""
    return (
        f"sudo systemctl start {unit}\njournalctl -u {unit} -n 5\n"
        f"sudo systemctl enable --now {unit}.timer"
    )


def copy_away(folder: Path, host: str) -> str:
    """Copy the backups; typed on another computer."""
    return f"rsync -a --exclude '.*' {shlex.quote(f'pi@{host}:{folder}/')} flask10x-backups/"


def set_up_alerts() -> tuple[str, ...]:
    """Make the file of alerts; look it over, try its ways and take it over once it was edited."""
    return (*(flask10x("alerts", word) for word in ("init", "check", "test")), RELOAD)


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        # A user without an entry, as in some containers.
        return str(os.geteuid())
