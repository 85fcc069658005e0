"""`/setup/files`: backups, exports, imports and retention, in the browser.

All that takes long is a command of ours in a process of its own (`system/background.py`), one at a
time; the page shows how far it is, and what it said.
"""

import json
import logging
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from flask import Response, abort, request, send_file
from sqlalchemy import func, select
from werkzeug.wrappers import Response as AnyResponse
from werkzeug.wsgi import ClosingIterator

from flask10x.config import house, readers
from flask10x.config import settings as settings_file
from flask10x.config.house import READINGS, House, is_typed, secret_places
from flask10x.config.readers import WrongEntry
from flask10x.config.settings import KEYS, Settings
from flask10x.database import engines
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import database_path, url_of
from flask10x.database.sqlite import missing
from flask10x.database.tables import readings
from flask10x.errors import (
    PARTLY_DONE_STATUS,
    BackgroundBusy,
    CopyError,
    LockTimeout,
    RestoreError,
    SettingsError,
    UploadRefused,
)
from flask10x.health.checks import FAILURES, Checks, Facts
from flask10x.health.copies import time_of_backup
from flask10x.history.view import View
from flask10x.readings.labels import day_of, station_name
from flask10x.readings.legacy_csv import TIME_HEADER
from flask10x.readings.obstacles import REASONS
from flask10x.readings.stations import Station, Stations
from flask10x.readings.times import zone_name_of
from flask10x.runtime import backup_schedule
from flask10x.runtime.retention import days_of, kept_since, outlooks
from flask10x.runtime.setup_files import is_reloaded, reload
from flask10x.runtime.store import Store
from flask10x.system import backup_files, clock, disks, units
from flask10x.system.background import About, Background, Run, environment
from flask10x.system.backup_files import CHECKSUM_SUFFIX
from flask10x.system.disks import on_same_disk
from flask10x.system.rejected_rows import SUFFIX as REJECTED_SUFFIX
from flask10x.system.uploads import Uploads
from flask10x.system.wording import size
from flask10x.translation import N_, Translation, speaking
from flask10x.web import administrators, context, preferences, uploads
from flask10x.web.facts import gathered
from flask10x.web.limits import UPLOAD_MAX_BYTES, UPLOAD_PATH
from flask10x.web.pages.setup import changes, stations
from flask10x.web.pages.setup import house as house_page
from flask10x.web.pages.setup.page import back_or_to, blueprint, shown
from flask10x.web.shell import how_it_runs, shell

log = logging.getLogger(__name__)

# What people keep at least: a year to compare with.
DAYS = 730
SCHEDULE = ("backup_time", "backup_keep")
"""The settings of the form for backups."""
TARGET = "backup_copy_dir"
"""The setting with the folder to which backups are copied."""
FOLDER_OF_COPIES = "flask10x"
"""The folder that is made on a stick."""
TIMERS = {"backup": "flask10x-backup", "export": "flask10x-export"}
KINDS = {
    "backup": N_("Backup"),
    "verify": N_("Check of a backup"),
    "try": N_("Try of the folder for copies"),
    "export": N_("Export"),
    "preview": N_("Preview of the import"),
    "import": N_("Import"),
    "check": N_("Check of the backup that was sent"),
    "restore": N_("Restoring"),
    "house": N_("Restoring"),
}
"""The commands by their kind, as the page calls them."""
PARTS = {
    "stations": N_("Stations"),
    "settings": N_("House and settings"),
    "alerts": N_("Alerts and notifications"),
}
"""The files of a house, as the page calls them."""
# How the fields of an import are called; those of a file go on with its number, and its column.
IMPORT_FIELDS = ("zone", "accept", "endpoint-", "column-")
# What other programs call the time of a row.
TIME_NAMES = frozenset({"time", "timestamp", "date", "datetime", "日時", "時刻"})
# What a form sends for a column that is not to be stored.
LEFT_OUT = "-"
OF_UPLOADS = frozenset({"preview", "import", "check"})
"""Those that work with the files that were sent, which have to be there."""
# A folder of ours, and a number for each file, before the names that people know.
OWN_FOLDER = re.compile(r"\S*/uploads/[0-9]+/")
HEAD_BYTES = 512
# systemd answers in milliseconds, or its bus is not there.
SYSTEMD_WITHIN_SEC = 2.0
# A new installation to which the boards send already has some; an older one has a history.
EMPTY_MAX_READINGS = 10_000


@blueprint.get("/setup/files")
def as_files(
    message: str = "",
    status: int = 0,
    problems: dict[str, str] | None = None,
    typed: Mapping[str, str] = MappingProxyType({}),
) -> tuple[str, int]:
    """What there is, what runs, and what can be done; `typed` is what a form has been sent with."""
    store, t, now_ms = context.store(), preferences.texts(), clock.now_ms()
    settings, own = store.settings, shell(store.settings)
    run, known = Background(settings.data_dir).current(), gathered(store, now_ms)
    checks = Checks(settings, known, t, now_ms)
    raw = request.args.get("days", "")
    days, problem = _days(raw) if raw else (None, "")
    sent, previews = Uploads(settings.data_dir), previews_of(run, settings.stations)

    backed_up = checks.backed_up()
    is_here = known.backup is not None and on_same_disk(known.backup.path, database_path(settings))
    is_only_here = is_here and known.copied is None
    if is_only_here and settings.backup_copy_dir is None:
        # Where it lies stands below, in red.
        backed_up = replace(backed_up, details=[])
    removals = None
    if days:
        try:
            with context.view() as view:
                removals = removals_of(store, view, days, t)
        except FAILURES as error:
            log.warning("What would be removed cannot be counted: %s", reason_of(error))
    # What restores the file FILE where a button does not.
    restore = own.command("restore_any", file="FILE")
    if not engines.engine_of(settings).is_file:
        restore = own.flask10x("copy", "--from", "sqlite:////FILE", "--to", url_of(settings))
    return shown(
        "setup/files.html",
        status or (400 if problems else 200),
        message=message,
        typed=typed,
        problems={**({"days": problem} if problem else {}), **(problems or {})},
        run=outcome_of(run, t) if run else None,
        backups=listed_backups(settings),
        next_at={
            "backup": next_backup(
                settings, known.backup.made_at if known.backup else None, known.began_at, now_ms
            ),
            "export": next_of_timer(TIMERS["export"]),
        },
        schedule=fields_of_schedule(settings) | {k: typed[k] for k in SCHEDULE if k in typed},
        schedule_elsewhere={name: changes.place_elsewhere(name) for name in SCHEDULE},
        titles={name: t(KEYS[name].words) for name in SCHEDULE},
        times=[f"{hour:02}:30" for hour in range(24)],
        failed=failed_backup(settings, known, t),
        is_only_here=is_only_here,
        copy_dir=typed.get(TARGET, house_page.present()[TARGET] or settings.text_of(TARGET)),
        copy_title=t(KEYS[TARGET].words),
        copy_elsewhere=changes.place_elsewhere(TARGET),
        sticks=sticks(),
        timers=TIMERS,
        answers={
            "backup": backed_up,
            "export": checks.exported(),
            "card": checks.card(),
        },
        sent=sent.files,
        previews=previews,
        rejected=[*enumerate(rejected_of(settings))],
        zone=zone_name_of(settings.zone),
        asks_restore=is_checked(run),
        why_not=why_not_restored(settings, known.stored, t),
        house_parts=parts_of(settings, sent.files, t) if is_checked(run) else [],
        has_secrets=any(map(is_typed, secret_places(settings.alerts))),
        readings=known.stored or 0,
        sent_readings=readings_in(sent.files) if is_checked(run) else 0,
        database=database_path(settings),
        upload_max=UPLOAD_MAX_BYTES,
        size=size,
        days=days or DAYS,
        own_days=[
            one.endpoint
            for one in settings.stations.all
            if days_of(settings, one) != settings.retention_days
        ],
        removals=removals,
        is_set_outside=changes.place_elsewhere("retention_days"),
        commands={
            "backup": own.flask10x("backup"),
            "export": own.flask10x("export"),
            "import": own.flask10x("import", "BedRoomEnv.csv"),
            "restore": restore,
        },
    )


@blueprint.get("/setup/files/backups/<name>")
def as_backup(name: str) -> AnyResponse | tuple[str, int]:
    """A backup, or its sum, for an administrator's browser."""
    # Only a page with backups needs it.
    from flask10x.maintenance import earlier_backups  # noqa: PLC0415

    _only_administrators()
    path = backup_path(context.store().settings, name.removesuffix(CHECKSUM_SUFFIX))
    if path is None:
        abort(404)
    try:
        with _held(path.parent) as stack:
            if not name.endswith(CHECKSUM_SUFFIX):
                return _attached(_sent_backup(path, stack), name)
            # That of an earlier backup is in its own file.
            noted = earlier_backups.about(path).sha256
    except CopyError as error:
        return as_files(str(error), 409)
    if noted is None:
        abort(404)
    line = backup_files.checksum_line(noted, name.removesuffix(CHECKSUM_SUFFIX))
    return _attached(Response(line, mimetype="text/plain"), name)


@blueprint.get("/setup/files/rejected/<number>")
def as_rejected(number: str) -> AnyResponse | tuple[str, int]:
    """The rejected rows of a file that was sent, for an administrator's browser."""
    _only_administrators()
    paths = rejected_of(context.store().settings)
    return _download(next((path for n, path in enumerate(paths) if str(n) == number), None))


@blueprint.post("/setup/files/backup", guard="setup")
def back_up() -> AnyResponse | tuple[str, int]:
    """Make a backup now; then `/setup/files`, which shows how far it is."""
    return _started("backup", *(["--secrets"] if request.form.get("secrets") else []))


@blueprint.post("/setup/files/verify", guard="setup")
def verify() -> AnyResponse | tuple[str, int]:
    """Check the backup of this name."""
    path = backup_path(context.store().settings, request.form.get("name", ""))
    if path is None:
        abort(404)
    return _started("backup", "--verify", str(path), kind="verify")


@blueprint.post("/setup/files/export", guard="setup")
def export() -> AnyResponse | tuple[str, int]:
    """Export now."""
    return _started("export")


@blueprint.post(UPLOAD_PATH, guard="setup")
def upload() -> AnyResponse | tuple[str, int]:
    """Take files, and look through them."""
    settings, t = context.store().settings, preferences.texts()
    sent = Uploads(settings.data_dir)
    try:
        fields = uploads.received()
        has_backup = is_backup(sent.files, t)
    except (UploadRefused, OSError) as error:
        # What came is removed unless it is being used. A stranger's form removes nothing.
        is_used = Background(settings.data_dir).is_running
        if administrators.browser() is not None and not is_used:
            sent.remove()
        if isinstance(error, UploadRefused):
            return as_files(str(error), error.status)
        log.error("Files cannot be taken: %s", error)
        text = t("The files cannot be written: {reason}", reason=error.strerror or str(error))
        return as_files(text, 507)
    if has_backup:
        return _started("backup", "--verify", str(sent.files[0]), "--sent", kind="check")
    return _preview(fields)


@blueprint.post("/setup/files/import", guard="setup")
def import_() -> AnyResponse | tuple[str, int]:
    """Look through the files again, as another station's or in another zone; or import them."""
    if request.form.get("do") == "preview":
        return _preview(request.form)
    arguments, problems = _import_options(request.form)
    if problems:
        return as_files(problems=problems, typed=request.form)
    return _started("import", *arguments, *_sent(), kind="import")


@blueprint.post("/setup/files/cancel", guard="setup")
def cancel() -> AnyResponse:
    """End what runs."""
    Background(context.store().settings.data_dir).cancel()
    return _back()


@blueprint.post("/setup/files/discard", guard="setup")
def discard() -> AnyResponse | tuple[str, int]:
    """Remove what was sent, and forget what the last command said."""
    data_dir = context.store().settings.data_dir
    background = Background(data_dir)
    if background.is_running:
        raise BackgroundBusy(background.folder.name)
    Uploads(data_dir).remove()
    background.forget()
    return _back()


@blueprint.post("/setup/files/restore", guard="setup")
def restore() -> AnyResponse | tuple[str, int]:
    """Restore the parts that were chosen of the backup that was sent and checked.

    Its readings take the place of the database of a new installation.
    """
    settings, t = context.store().settings, preferences.texts()
    run = Background(settings.data_dir).current()
    parts = [part for part in (READINGS, *house.PARTS) if part in request.form.getlist("part")]
    why_not = "" if parts else t("Choose what is to be restored.")
    if READINGS in parts:
        with context.view() as view:
            why_not = why_not_restored(settings, view.last_id, t)
    of_uploads = Uploads(settings.data_dir)
    sent = of_uploads.files
    # Another file may be on its way to the place of the one that was checked.
    if not is_checked(run) or len(sent) != 1 or of_uploads.is_receiving:
        why_not = t("Send the backup first; it is checked before it is restored.")
    if why_not:
        return as_files(why_not, 409)
    only = [f"--only={part}" for part in parts]
    if READINGS not in parts:
        return _started("restore", str(sent[0]), "--by-service", *only, kind="house")
    # The next reload puts the file in the place of the database. The workers' parent ends the
    # workers, which store what they have, lets `flask10x restore` put the file in place, and makes
    # new ones. It listens all the while, so a reading that is sent meanwhile waits some seconds,
    # and none is refused.
    _started("restore", str(sent[0]), "--by-service", *only)
    reload(settings)
    return shown("setup/restoring.html", 202)


@blueprint.post("/setup/files/schedule", guard="setup")
def set_schedule() -> AnyResponse | tuple[str, int]:
    """Set when the service makes its backup, and how many are kept; then `/setup/files`."""
    shown_now = fields_of_schedule(context.store().settings)
    # What is shown and was left as it is stays a default.
    fields = {
        name: typed
        for name in SCHEDULE
        if (typed := request.form.get(name, "").strip()) != shown_now[name]
        and name in request.form
        and not changes.place_elsewhere(name)
    }
    problems = house_page.saved(fields) if fields else {}
    if "file" in problems:
        text = preferences.texts()("Nothing was changed: {reason}", reason=problems["file"])
        return as_files(text, 409)
    if problems:
        return as_files(problems=problems, typed=request.form)
    return _back("backups")


@blueprint.post("/setup/files/target", guard="setup")
def set_target() -> AnyResponse | tuple[str, int]:
    """Set the folder to which backups are copied, and try it; then `/setup/files`."""
    settings = context.store().settings
    typed = request.form.get(TARGET, "").strip()
    if changes.place_elsewhere(TARGET):
        typed = settings.text_of(TARGET)
    elif problems := house_page.saved({TARGET: typed}):
        return as_files(problems={TARGET: "; ".join(problems.values())}, typed=request.form)
    return _started("backup", "--try", typed, kind="try") if typed else _back("copies")


def sticks() -> list[str]:
    """Return the folders for copies on the removable disks that are mounted."""
    return [str(folder / FOLDER_OF_COPIES) for folder in disks.removable()]


@blueprint.post("/setup/files/retention", guard="setup")
def set_retention() -> AnyResponse | tuple[str, int]:
    """Set after how many days readings are removed; then `/setup/files`."""
    t = preferences.texts()
    days, problem = _days(request.form.get("days", ""))
    if problem:
        return as_files(problems={"days": problem}, typed=request.form)
    try:
        edit = changes.settings_edit(
            "retention_days", lambda keys: changes.put(keys, "retention_days", days)
        )
    except SettingsError as error:
        return as_files(t("Nothing was changed: {reason}", reason=str(error)), 409)
    changes.make(edit)
    return _back("kept")


def _started(*arguments: str, kind: str = "", **values: str) -> AnyResponse:
    """Start the command; then the page. Raises BackgroundBusy while another runs, and OSError."""
    kind, browser = kind or arguments[0], administrators.browser()
    if browser is None:
        abort(403)
    settings, t = context.store().settings, preferences.texts()
    background, began_ms = Background(settings.data_dir), clock.now_ms()
    if kind in OF_UPLOADS and Uploads(settings.data_dir).is_receiving:
        raise BackgroundBusy(kind)
    begin = background.ask if kind == "restore" else background.start
    about = About(
        kind=kind, arguments=[*arguments], began_ms=began_ms, browser=browser.name, values=values
    )
    begin(about, environment(settings, t.language))
    level = logging.WARNING if kind == "restore" else logging.INFO
    log.log(level, "%s was started by %s", kind, browser.name)
    return _back()


def _preview(fields: Mapping[str, str]) -> AnyResponse | tuple[str, int]:
    arguments, problems = _import_options(fields)
    if problems:
        return as_files(problems=problems, typed=fields)
    words = ("import", "--dry-run", "--json", *arguments, *_sent())
    chosen = {name: fields[name] for name in fields if name.startswith(IMPORT_FIELDS)}
    return _started(*words, kind="preview", **chosen)


def _import_options(fields: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Return the options of the command, and what is wrong with the fields, by field."""
    settings, t = context.store().settings, preferences.texts()
    arguments: list[str] = []
    problems: dict[str, str] = {}
    if zone := fields.get("zone", "").strip():
        try:
            arguments.append(f"--zone={readers.time_zone(zone)}")
        except WrongEntry as error:
            problems["zone"] = t(error.needed)
    for number, _file in enumerate(Uploads(settings.data_dir).files, 1):
        if endpoint := fields.get(field := f"endpoint-{number}", ""):
            arguments.append(f"--endpoint={number}:{endpoint}")
            if endpoint not in settings.stations.by_endpoint:
                problems[field] = t("There is no such station.")
        # The name is as the header has it, and the command looks whether there is such a column.
        arguments += [
            f"--column={number}:{field.removeprefix(start)}={column.removeprefix(LEFT_OUT)}"
            for field, column in fields.items()
            if field.startswith(start := f"column-{number}-")
            and column
            and "\0" not in field + column
        ]
    if fields.get("accept"):
        arguments.append("--accept-last-line")
    if not _sent():
        problems["files"] = t("Choose a file first.")
    return arguments, problems


def _sent() -> list[str]:
    # After it, a name that begins with a hyphen is no option.
    paths = Uploads(context.store().settings.data_dir).files
    return ["--", *map(str, paths)] if paths else []


@blueprint.errorhandler(BackgroundBusy)
def busy(_error: BackgroundBusy) -> tuple[str, int]:
    """The page, while another command runs, or files are on their way."""
    return as_files(preferences.texts()("Something else is running; wait until it is done."), 409)


def _back(anchor: str = "run") -> AnyResponse:
    return back_or_to("setup.as_files", anchor)


def _only_administrators() -> None:
    if administrators.browser() is None:
        abort(403)


@contextmanager
def _held(folder: Path) -> Iterator[ExitStack]:
    """Let no backup change those in the folder; raises BackgroundBusy while one does."""
    with ExitStack() as stack:
        try:
            stack.enter_context(backup_files.held(folder, within_sec=0))
        except LockTimeout as error:
            raise BackgroundBusy("backup") from error
        yield stack


def _sent_backup(path: Path, held: ExitStack) -> AnyResponse:
    """Return a backup as a plain file; `held` ends when it is sent."""
    from flask10x.maintenance import earlier_backups  # noqa: PLC0415

    if path.suffix == backup_files.PLAIN_SUFFIX:
        answer: AnyResponse = send_file(path, conditional=True)
        body: Iterable[Any] = answer.response
    else:
        image = earlier_backups.Image(path)
        answer, body = Response(mimetype="application/vnd.sqlite3"), image.blocks()
        answer.content_length = image.bytes
    answer.response = ClosingIterator(body, held.pop_all().close)
    return answer


def _download(path: Path | None) -> AnyResponse:
    if path is None:
        abort(404)
    # In pieces, also from the middle where a download broke off; nothing of it is in memory.
    return _attached(send_file(path, conditional=True), path.name)


def _attached(answer: AnyResponse, name: str) -> AnyResponse:
    answer.headers.set("Content-Disposition", "attachment", filename=name)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _days(raw: str) -> tuple[int | None, str]:
    """Return the days after which readings are to be removed, and what is wrong with them."""
    with speaking(preferences.texts().language):
        try:
            return settings_file.READERS["retention_days"](raw), ""
        except WrongEntry as error:
            return None, error.needed


def backups_of(settings: Settings) -> list[Path]:
    """Return the finished backups, the newest first; raises OSError."""
    try:
        return backup_files.restorable(settings.backup_dir)[::-1]
    except FileNotFoundError:
        return []


def listed_backups(settings: Settings) -> list[dict[str, Any]]:
    """Return the name, time, size, sum and path of each backup, the newest first."""
    try:
        return [
            {
                "name": (plain := backup_files.plain_path(path)).name,
                "made_at": time_of_backup(plain, settings.zone),
                **about(path),
            }
            for path in backups_of(settings)
        ]
    except OSError as error:
        # `/status` has the reason, and the answer above the list.
        log.error("The backups cannot be listed: %s", error)
        return []


def backup_path(settings: Settings, name: str) -> Path | None:
    """Return the backup of this name as a plain file; None for any other name. Raises OSError."""
    backups = backups_of(settings)
    return next((path for path in backups if backup_files.plain_path(path).name == name), None)


def rejected_of(settings: Settings) -> list[Path]:
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
    answer = units.answer(command, SYSTEMD_WITHIN_SEC)
    values = dict(line.partition("=")[::2] for line in answer.splitlines())
    next_at = values.get("NextElapseUSecRealtime", "").removeprefix("@")
    if values.get("ActiveState") == "active" and next_at.isdigit():
        return "at", int(next_at) * 1000
    return ("off" if values.get("ActiveState") == "inactive" else "unknown"), 0


def next_backup(
    settings: Settings, newest_at: int | None, began_at: int | None, now_ms: int
) -> tuple[Literal["at", "own", "soon", "off", "unknown"], int]:
    """Return when the next backup is made, in UTC epoch milliseconds, and by whom.

    `at`: by systemd's timer; `own`: by the service; `soon`: it is due, and the service makes it in
    the next minutes; `off` and `unknown` as `next_of_timer`. `newest_at` and `began_at` as in
    `backup_schedule.next_at`.
    """
    state, at = next_of_timer(TIMERS["backup"])
    if state == "at":
        return state, at
    own_at = backup_schedule.next_at(settings, newest_at, began_at, now_ms)
    if not own_at:
        return state, at
    return ("own" if own_at > now_ms else "soon"), own_at


def fields_of_schedule(settings: Settings) -> dict[str, str]:
    """Return what the form shows: as the file has it now, or as it is in force."""
    written = house_page.present()
    return {name: written[name] or settings.text_of(name) for name in SCHEDULE}


def failed_backup(settings: Settings, known: Facts, t: Translation) -> tuple[int, str, bool] | None:
    """Return when the service's own backup failed, why, and whether only its copy did.

    None if it went well, or a newer one was made.
    """
    run = backup_schedule.last_run(settings)
    if run is None or run.is_running or run.status == 0:
        return None
    is_made = run.status == PARTLY_DONE_STATUS
    newest = known.copied if is_made else known.backup
    if newest and newest.made_at > run.about.began_ms:
        return None
    return run.about.began_ms, " ".join(outcome_of(run, t)["errors"]), is_made


def outcome_of(run: Run, t: Translation) -> dict[str, Any]:
    """Return the state, lines and progress of a run, as pages show them."""
    mood = "running" if run.is_running else "good" if run.status == 0 else "wrong"
    # An import writes a line for each file of which it stored rows, if it isn't killed.
    is_import = run.about.kind == "import"
    is_partial = mood == "wrong" and is_import and (run.output or run.was_killed)
    if run.status == PARTLY_DONE_STATUS or is_partial:
        mood = "warn"
    # What was rejected has a link.
    errors = [line for line in _lines(run.errors) if not line.endswith(REJECTED_SUFFIX)]
    if run.was_killed and is_import:
        errors.append(t("It was ended before it was done. What it stored stays; start it again."))
    elif run.was_killed:
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


def previews_of(run: Run | None, known: Stations) -> list[dict[str, Any]]:
    """Return for each file what the last preview found; empty if there was none.

    `endpoint` is the station that was chosen for it, or the only one that it can be of;
    `proposed` the endpoint of one that is made of it. `columns` are those that were chosen, or
    are likely, by the names in its header.
    """
    if run is None or run.about.kind != "preview" or run.is_running:
        return []
    found = []
    for line in run.output.splitlines():
        with suppress(ValueError):
            found.append(dict(json.loads(line)))
    for number, one in enumerate(found, 1):
        fitting = one.get("stations", [])
        name = stations.proposed_endpoint(Path(one["name"]).stem)
        one["proposed"] = name or f"sensor-{len(known.all) + number}"
        # One that was made of it since.
        made = name if name in known.by_endpoint else ""
        only = fitting[0] if len(fitting) == 1 else made if "stations" in one else ""
        one["endpoint"] = run.about.values.get(f"endpoint-{number}") or only
        start = f"column-{number}-"
        chosen = {
            field.removeprefix(start): column
            for field, column in run.about.values.items()
            if field.startswith(start) and column
        }
        station = known.by_endpoint.get(one.get("station", ""))
        unknown = {name: _column(name, station) for name in one.get("unknown", [])}
        one["columns"] = unknown | chosen
    return found


def _column(name: str, station: Station | None) -> str:
    """The column of a station that is likely meant by a name in a header; empty: none is."""
    if name.lower() in TIME_NAMES:
        return TIME_HEADER
    measurements = station.measurements if station else ()
    return next((m.csv_header for m in measurements if name in (m.path, m.column)), "")


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
    if not engines.engine_of(settings).is_file:
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
    if not is_reloaded(settings):
        return t("This server is for development; restore by the command, with it stopped.")
    return ""


def parts_of(settings: Settings, sent: list[Path], t: Translation) -> list[dict[str, Any]]:
    """Return each file of the house in the sent backup, with this installation's beside it."""
    if not sent:
        return []
    with speaking(t.language):
        try:
            there = house.fitted(settings, house_in(sent[0]))
        except CopyError as error:
            log.error("The house in %s cannot be read: %s", sent[0].name, error)
            return []
        found = []
        lost: dict[str, list[str]] = {}
        for part, data in there.files.items():
            reason, here = "", house.present(house.paths(settings)[house.PARTS[part]])
            # The rules may be of stations that are in the backup, too.
            parts = [part] if part != "alerts" else [*there.files.keys() - {"settings"}]
            try:
                restored = house.check(settings, there, parts, by_page=True)
            except RestoreError as error:
                reason = str(error)
            else:
                lost |= house.lacking(restored, there) if part == "alerts" else {}
            found.append(
                {
                    "part": part,
                    "name": house.PARTS[part],
                    "title": t(PARTS[part]),
                    "there": [_worded(name, t) for name in house.names_in(part, data)],
                    "here": [_worded(name, t) for name in house.names_in(part, here)],
                    "is_same": here == data,
                    "reason": reason,
                    "lost": [*lost] if part == "alerts" else [],
                }
            )
    return found


def _worded(name: str, t: Translation) -> str:
    """Return a setting and its value as forms call it; anything else as it is."""
    setting, is_setting, value = name.partition(" = ")
    key = KEYS.get(setting.lower())
    return f"{t(key.words)}: {value}" if is_setting and key else name


def readings_in(sent: list[Path]) -> int:
    """Return how many readings the backup has that was sent; 0 if it can't be read."""
    # Only a backup that was sent needs it.
    from flask10x.maintenance.new_database import contents_of  # noqa: PLC0415

    with suppress(CopyError):
        return contents_of(sent[0]).rows if sent else 0
    return 0


def house_in(path: Path) -> House:
    """Return the house in a backup; raises CopyError."""
    from flask10x.maintenance import house_copy  # noqa: PLC0415

    return house_copy.house_in(path)


def about(path: Path) -> dict[str, Any]:
    """Return the size of a backup, its secrets and whether it has a sum.

    While a backup is made of it, or if it can't be read, there are none. Raises OSError.
    """
    status = path.stat()
    with suppress(CopyError, BackgroundBusy), _held(path.parent):
        found = _about(path, status.st_mtime_ns)
        return {"size": size(found.bytes), "has_sum": bool(found.sha256), "secrets": found.secrets}
    return {"size": size(status.st_size), "has_sum": False, "secrets": 0}


# The page asks again each second while a command runs, and a finished backup never changes.
@lru_cache(maxsize=100)
def _about(path: Path, _changed_ns: int) -> Any:
    from flask10x.maintenance import earlier_backups  # noqa: PLC0415

    return earlier_backups.about(path)


def is_checked(run: Run | None) -> bool:
    """Whether the last command has made a backup that was sent ready to be restored."""
    return run is not None and run.about.kind == "check" and run.status in (0, PARTLY_DONE_STATUS)


def removals_of(store: Store, view: View, days: int, t: Translation) -> list[dict[str, Any]]:
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
