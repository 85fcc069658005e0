"""The commands that repair a CSV file, as messages name them."""

import shlex
from gettext import gettext as _
from pathlib import Path


def export(path: Path) -> str:
    """Append what is new, to a new file where there is none."""
    return f"flask10x export {path.name}"


def rebuild(path: Path) -> str:
    """Rewrite the file from the database."""
    return f"flask10x export --rebuild {path.name}"


def whole(path: Path) -> str:
    """Rewrite it with all that the database has, also what an archived file has."""
    return f"{rebuild(path)} --whole"


def take_over(path: Path) -> str:
    """Make this host the owner of the files, and rewrite this one here."""
    return f"flask10x export --take-over --rebuild {path.name}"


def import_(path: Path) -> str:
    """Import the file's rows into the database."""
    return f"flask10x import {shlex.quote(str(path))}"


def import_as(endpoint: str, path: Path) -> str:
    """Import them as rows of this station, which the name of the file does not say."""
    return f"flask10x import --endpoint {endpoint} {shlex.quote(str(path))}"


def move_away(path: Path) -> str:
    """Keep the file under another name, also where that name exists."""
    return f"mv --backup=numbered {shlex.quote(str(path))} {shlex.quote(f'{path}.old')}"


def move_away_and_export(path: Path) -> str:
    """Begin a new file beside it."""
    return f"{move_away(path)} && {export(path)}"


def other_zone(path: Path) -> str:
    """Say what to do about a file that was written in another time zone."""
    text = _(
        "run the command with the service's settings, or, if the zone was changed on purpose,"
        " {rebuild}"
    )
    return text.format(rebuild=rebuild(path))
