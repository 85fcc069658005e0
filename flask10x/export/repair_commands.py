"""The commands that mend a CSV file, as messages name them."""

import shlex
from gettext import gettext as _
from pathlib import Path


def export(path: Path) -> str:
    """Append what is new, to a new file where there is none."""
    return f"flask10x export {path.name}"


def rebuild(path: Path) -> str:
    """Write the file afresh from the database."""
    return f"flask10x export --rebuild {path.name}"


def whole(path: Path) -> str:
    """Write it afresh with all that the database has, also what an archived file has."""
    return f"{rebuild(path)} --whole"


def take_over(path: Path) -> str:
    """Have the files belong to this host, and write this one afresh here."""
    return f"flask10x export --take-over --rebuild {path.name}"


def import_(path: Path) -> str:
    """Take the file's rows into the database."""
    return f"flask10x import {shlex.quote(str(path))}"


def move_away(path: Path) -> str:
    """Keep the file under another name, whatever has that name already."""
    return f"mv --backup=numbered {shlex.quote(str(path))} {shlex.quote(f'{path}.old')}"


def other_zone(path: Path) -> str:
    """What to do about a file that was written in another time zone."""
    text = _(
        "run the command with the service's settings, or, if the zone was changed on purpose,"
        " {rebuild}"
    )
    return text.format(rebuild=rebuild(path))
