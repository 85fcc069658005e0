"""Backups and files: what there is, the commands that the page starts, and what they said."""

import json
import os
import re
import shutil
import subprocess
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import func, select

from flask10x.config.settings import PREFIX, Settings
from flask10x.database import engines
from flask10x.database.running_service import running
from flask10x.database.sqlite import missing
from flask10x.database.tables import readings
from flask10x.errors import UploadRefused
from flask10x.health.words import REASONS
from flask10x.history.view import View
from flask10x.readings.labels import day_of, station_name
from flask10x.runtime.administrators import Browser
from flask10x.runtime.retention import kept_since, outlooks
from flask10x.runtime.store import Store
from flask10x.system import backup_files, clock
from flask10x.system.background import About, Background, Run
from flask10x.system.rejected_rows import SUFFIX as REJECTED_SUFFIX
from flask10x.system.uploads import Uploads
from flask10x.translation import N_, Translation
from flask10x.web.shell import how_it_runs

KINDS = {
    "backup": N_("Backup"),
    "verify": N_("Check of a backup"),
    "export": N_("Export"),
    "preview": N_("Preview of the import"),
    "import": N_("Import"),
    "check": N_("Check of the backup that was sent"),
    "restore": N_("Restoring"),
}
"""The commands by their kind, as the page calls them."""
OF_UPLOADS = frozenset({"preview", "import", "check", "restore"})
"""Those that work with the files that were sent."""
# A folder of ours, and a number for each file, before the names that people know.
OWN_FOLDER = re.compile(r"\S*/uploads/[0-9]+/")
HEAD_BYTES = 512
# systemd answers in milliseconds, or its bus is not there.
SYSTEMD_WITHIN_SEC = 2.0
# A new installation to which the boards send already has some; an older one has a history.
EMPTY_MAX_READINGS = 10_000
# That of a command that has taken all but some rows (`commands/database.py`).
REJECTED_STATUS = 4
# With these the command works in the folders of this service, whatever the environment says.
FOLLOWED = ("data_dir", "csv_dir", "backup_dir", "database_url", "timezone")


def backups(settings: Settings) -> list[Path]:
    """Return the finished backups, the newest first; raises OSError."""
    try:
        return backup_files.finished(settings.backup_dir)[::-1]
    except FileNotFoundError:
        return []


def backup_path(settings: Settings, name: str) -> Path | None:
    """Return the backup of this name, or its sum; None for any other name. Raises OSError."""
    for path in backups(settings):
        if path.name == name:
            return path
        checksum = backup_files.checksum_path(path)
        if checksum.name == name and checksum.is_file() and not checksum.is_symlink():
            return checksum
    return None


def rejected_files(settings: Settings) -> list[Path]:
    """Return the files with rejected rows beside what was sent."""
    sent = Uploads(settings.data_dir).files
    paths = [path.with_name(path.name + REJECTED_SUFFIX) for path in sent]
    return [path for path in paths if path.is_file()]


def next_of_timer(name: str) -> tuple[Literal["at", "off", "unknown"], int]:
    """Return when systemd starts this timer next, in UTC epoch milliseconds.

    `off`: it does not run; `unknown`: this service is not systemd's, or that does not answer.
    """
    manner, _unit = how_it_runs()
    program = shutil.which("systemctl") if manner == "systemd" else None
    if program is None:
        return "unknown", 0
    names = "--property=ActiveState,NextElapseUSecRealtime"
    command = [program, "show", f"{name}.timer", names, "--timestamp=unix"]
    try:
        answer = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=SYSTEMD_WITHIN_SEC, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return "unknown", 0
    values = dict(line.partition("=")[::2] for line in answer.splitlines())
    next_at = values.get("NextElapseUSecRealtime", "").removeprefix("@")
    if values.get("ActiveState") == "active" and next_at.isdigit():
        return "at", int(next_at) * 1000
    return ("off" if values.get("ActiveState") == "inactive" else "unknown"), 0


def start(
    settings: Settings, browser: Browser, t: Translation, arguments: list[str], **values: Any
) -> None:
    """Start a command of `KINDS`, the kind of which is among the values.

    A kind `restore` is only asked for: the next reload puts the file in the place of the database.
    The workers' parent ends the workers, which store what they have, lets `flask10x restore` put
    the file in place, and makes new ones. It listens all the while, so a reading that is sent
    meanwhile waits some seconds, and none is refused. Raises BackgroundBusy while one runs, and
    OSError.
    """
    kind, background = values.pop("kind", arguments[0]), Background(settings.data_dir)
    about = About(
        kind=kind, arguments=arguments, began_ms=clock.now_ms(), browser=browser.name, values=values
    )
    begin = background.ask if kind == "restore" else background.start
    begin(about, environment(settings, t))


def environment(settings: Settings, t: Translation) -> dict[str, str]:
    """Return the environment of a command for this service, which speaks as its reader does."""
    folders = {name: getattr(settings, name) for name in FOLLOWED}
    own = {f"{PREFIX}{name.upper()}": str(value) for name, value in folders.items() if value}
    # LANGUAGE does not count in the locale C, whatever its encoding is.
    return {**own, "LANGUAGE": t.language, "LC_ALL": "en_US.UTF-8", "PYTHONUTF8": "1"}


def shown(run: Run, t: Translation) -> dict[str, Any]:
    """Return what the page shows of it."""
    mood = "running" if run.is_running else "good" if run.status == 0 else "wrong"
    if run.status == REJECTED_STATUS:
        mood = "warn"
    # What was rejected has a link.
    errors = [line for line in _lines(run.errors) if not line.endswith(REJECTED_SUFFIX)]
    if run.was_killed:
        errors.append(t("It was ended before it was done. Nothing is half-done; start it again."))
    is_seen, kind, progress = run.about.kind != "preview", run.about.kind, run.progress
    return {
        "kind": kind,
        "title": t(KINDS.get(kind, kind)),
        "mood": mood,
        "lines": _lines(run.output) if is_seen else [],
        "errors": errors if is_seen or run.was_killed else [],
        "label": progress.label if progress else "",
        "percent": progress.percent if progress else None,
        "about": run.about,
    }


def _lines(text: str) -> list[str]:
    return [OWN_FOLDER.sub("", line.removeprefix("flask10x: ")) for line in text.splitlines()]


def previews(run: Run | None) -> list[dict[str, Any]]:
    """Return what the last preview says of each file; empty where there was none."""
    if run is None or run.about.kind != "preview" or run.is_running:
        return []
    found = []
    for line in run.output.splitlines():
        with suppress(ValueError):
            found.append(dict(json.loads(line)))
    return found


def endpoint_of(run: Run | None, shown_previews: list[dict[str, Any]]) -> str:
    """Return the station that was chosen, or the only one that a file without one may be of."""
    chosen = str(run.about.values.get("endpoint", "")) if run else ""
    fitting = [one["stations"] for one in shown_previews if "stations" in one]
    return chosen or (fitting[0][0] if len(fitting) == 1 and len(fitting[0]) == 1 else "")


def is_backup(files: list[Path], t: Translation) -> bool:
    """Return whether a backup was sent, or CSV files; raises UploadRefused for anything else."""
    # Only an upload needs it.
    from flask10x.maintenance.copy_check import GZIP, ZIP, kind_of_bytes  # noqa: PLC0415

    are_backups = []
    for path in files:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        are_backups.append(head.startswith(missing.MAGIC))
        if not are_backups[-1] and (not head or head.startswith((GZIP, ZIP)) or b"\0" in head):
            text = t("{name} is neither a CSV file nor a backup: {kind}.")
            kind = t(kind_of_bytes(head)) if head else t("the file is empty")
            raise UploadRefused(400, text.format(name=path.name, kind=kind))
    if any(are_backups) and len(files) > 1:
        raise UploadRefused(400, t("Send a backup alone, without other files."))
    return any(are_backups)


def why_not_restored(settings: Settings, stored: int | None, t: Translation) -> str:
    """Return why no backup can be put in the place of this database; empty: it can be.

    `stored` is how many readings it has, None where that can't be read.
    """
    if not engines.of(settings).is_file:
        return t("The readings are in PostgreSQL, into which a backup is copied by a command.")
    if stored is None:
        return t(
            "The database cannot be read now. Restore by the command, with the service stopped."
        )
    if stored > EMPTY_MAX_READINGS:
        return t(
            "This installation is not a new one: it has {n} readings. Restore by the command, with"
            " the service stopped.",
            n=f"{stored:,}",
        )
    if not _has_parent(settings):
        return t("This server is for development; restore by the command, with it stopped.")
    return ""


def _has_parent(settings: Settings) -> bool:
    """Whether this process has a parent that ends its workers and makes new ones."""
    try:
        service = running(settings)
    except OSError:
        return False
    return service is not None and service.pid == str(os.getppid())


def is_checked(run: Run | None) -> bool:
    """Whether the last command has made a backup that was sent ready to be restored."""
    return run is not None and run.about.kind == "check" and run.status in (0, REJECTED_STATUS)


def removals(store: Store, view: View, days: int, t: Translation) -> list[dict[str, Any]]:
    """Return what readings would go if all stations without a time of their own had this one."""
    settings = replace(store.settings, retention_days=days)
    found = []
    for outlook in outlooks(settings, store.database, view):
        station, oldest_at = outlook.station, outlook.oldest_at
        is_due = outlook.goes_at is not None and outlook.goes_at <= view.now_ms
        due = 0
        if is_due:
            query = select(func.count()).where(
                readings.c.endpoint == station.endpoint,
                readings.c.received_at < kept_since(outlook.days, view.now_ms),
            )
            due = view.connection.execute(query).scalar_one()
        # What proves that they are elsewhere, or why they would stay.
        proof = t(
            "{file} has them; each is compared byte for byte before it is removed.",
            file=station.csv_name,
        )
        if outlook.obstacle:
            proof = t(REASONS[outlook.obstacle], file=outlook.path or station.csv_name)
        found.append(
            {
                "station": station_name(station, t),
                "days": outlook.days,
                "due": due,
                "oldest": ""
                if oldest_at is None or not is_due
                else day_of(oldest_at, settings.zone, t),
                "proof": proof if is_due else "",
                "command": outlook.command,
                "is_proven": outlook.obstacle is None,
            }
        )
    return found
