"""`/setup/files`: backups, exports, imports and retention, in the browser.

All that takes long is a command of ours in a process of its own (`system/background.py`), one at a
time; the page shows how far it is, and what it said.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import abort, redirect, request, send_file, url_for
from werkzeug.wrappers import Response as AnyResponse

from flask10x.config import readers
from flask10x.config.readers import WrongEntry
from flask10x.database import engines
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import database_path, url_of
from flask10x.errors import BackgroundBusy, SettingsError, UploadRefused
from flask10x.health.checks import FAILURES, Checks
from flask10x.health.copies import time_of_backup
from flask10x.readings.labels import moment
from flask10x.readings.times import zone_name_of
from flask10x.runtime.administrators import Browser
from flask10x.runtime.retention import days_of
from flask10x.runtime.setup_files import reload
from flask10x.system import clock
from flask10x.system.background import Background
from flask10x.system.backup_files import checksum_path
from flask10x.system.uploads import Uploads
from flask10x.system.wording import size
from flask10x.web import administrators, context, preferences, uploads
from flask10x.web.limits import UPLOAD_MAX_BYTES, UPLOAD_PATH
from flask10x.web.pages.setup import changes, files
from flask10x.web.pages.setup.page import blueprint, shown
from flask10x.web.pages.status.answers import gathered
from flask10x.web.shell import shell

log = logging.getLogger(__name__)

# What people keep at least: a year to compare with.
DAYS = 730
TIMERS = {"backup": "flask10x-backup", "export": "flask10x-export"}


@blueprint.get("/setup/files")
def as_files(
    message: str = "", status: int = 200, problems: dict[str, str] | None = None
) -> tuple[str, int]:
    """What there is, what runs, and what can be done."""
    store, t, now_ms = context.store(), preferences.texts(), clock.now_ms()
    settings, own = store.settings, shell(store.settings)
    run, known = Background(settings.data_dir).current(), gathered(store, now_ms)
    checks = Checks(settings, known, t, now_ms)
    raw = request.args.get("days", "")
    days, problem = _days(raw) if raw else (None, "")
    sent, previews = Uploads(settings.data_dir), files.previews(run)

    def local_time(ms: int) -> str:
        return moment(ms, settings.zone, t, now_ms)

    backups: list[dict[str, Any]] = []
    try:
        for path in files.backups(settings):
            backups.append(
                {
                    "name": path.name,
                    "made_at": time_of_backup(path, settings.zone),
                    "size": size(path.stat().st_size),
                    "has_sum": checksum_path(path).is_file(),
                }
            )
    except OSError as error:
        # `/status` has the reason, and the answer above the list.
        log.error("The backups cannot be listed: %s", error)
        backups = []
    next_at = {}
    for name, timer in TIMERS.items():
        state, at_ms = files.next_of_timer(timer)
        next_at[name] = state, local_time(at_ms) if at_ms else ""
    removals = None
    if days:
        try:
            with context.view() as view:
                removals = files.removals(store, view, days, t)
        except FAILURES as error:
            log.warning("What would be removed cannot be counted: %s", reason_of(error))
    # What restores the file FILE where a button does not.
    restore = own.command("restore_any", file="FILE")
    if not engines.of(settings).is_file:
        restore = own.flask10x("copy", "--from", "sqlite:////FILE", "--to", url_of(settings))
    return shown(
        "setup/files.html",
        status,
        message=message,
        problems={**({"days": problem} if problem else {}), **(problems or {})},
        run=files.shown(run, t) if run else None,
        backups=backups,
        next_at=next_at,
        timers=TIMERS,
        answers={"backup": checks.backed_up(), "export": checks.exported(), "card": checks.card()},
        sent=sent.files,
        previews=previews,
        endpoint=files.endpoint_of(run, previews),
        rejected=[*enumerate(files.rejected_files(settings))],
        zone=zone_name_of(settings.zone),
        stations=settings.stations.all,
        asks_restore=files.is_checked(run),
        why_not=files.why_not_restored(settings, known.stored, t),
        readings=known.stored or 0,
        database=database_path(settings),
        upload_max=UPLOAD_MAX_BYTES,
        size=size,
        days=days or DAYS,
        kept_days=settings.retention_days,
        own_days=[
            one.endpoint
            for one in settings.stations.all
            if days_of(settings, one) != settings.retention_days
        ],
        removals=removals,
        is_set_outside=changes.place_elsewhere("retention_days"),
        local_time=local_time,
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
    return _download(files.backup_path(context.store().settings, name))


@blueprint.get("/setup/files/rejected/<number>")
def as_rejected(number: str) -> AnyResponse | tuple[str, int]:
    """The rejected rows of a file that was sent, for an administrator's browser."""
    paths = files.rejected_files(context.store().settings)
    return _download(next((path for n, path in enumerate(paths) if str(n) == number), None))


@blueprint.post("/setup/files/backup", guard="setup")
def back_up() -> AnyResponse | tuple[str, int]:
    """Make a backup now; then `/setup/files`, which shows how far it is."""
    return _started(administrators.required(), "backup")


@blueprint.post("/setup/files/verify", guard="setup")
def verify() -> AnyResponse | tuple[str, int]:
    """Check the backup of this name."""
    browser = administrators.required()
    path = files.backup_path(context.store().settings, request.form.get("name", ""))
    if path is None:
        abort(404)
    return _started(browser, "backup", "--verify", str(path), kind="verify")


@blueprint.post("/setup/files/export", guard="setup")
def export() -> AnyResponse | tuple[str, int]:
    """Export now."""
    return _started(administrators.required(), "export")


@blueprint.post(UPLOAD_PATH, guard="setup")
def upload() -> AnyResponse | tuple[str, int]:
    """Take files, which the body has brought already, and look through them."""
    settings, t = context.store().settings, preferences.texts()
    sent = Uploads(settings.data_dir)
    try:
        received = uploads.received()
        is_backup = files.is_backup(sent.files, t)
    except UploadRefused as error:
        return _refused_upload(sent, str(error), error.status)
    except OSError as error:
        log.error("Files cannot be taken: %s", error)
        text = t("The files cannot be written: {reason}", reason=error.strerror or str(error))
        return _refused_upload(sent, text, 507)
    # Its token was compared before its first file was written.
    browser = administrators.browser()
    if browser is None:
        abort(403)
    if is_backup:
        return _started(browser, "backup", "--verify", str(sent.files[0]), "--sent", kind="check")
    return _preview(browser, received.fields)


@blueprint.post("/setup/files/import", guard="setup")
def import_() -> AnyResponse | tuple[str, int]:
    """Look through the files again, as another station's or in another zone; or import them."""
    browser = administrators.required()
    if request.form.get("do") == "preview":
        return _preview(browser, request.form)
    arguments, problems = _import_options(request.form)
    if problems:
        return as_files(status=400, problems=problems)
    return _started(browser, "import", *arguments, *_sent(), kind="import")


@blueprint.post("/setup/files/cancel", guard="setup")
def cancel() -> AnyResponse:
    """End what runs."""
    administrators.required()
    Background(context.store().settings.data_dir).cancel()
    return _back()


@blueprint.post("/setup/files/discard", guard="setup")
def discard() -> AnyResponse | tuple[str, int]:
    """Remove what was sent, and forget what the last command said."""
    administrators.required()
    data_dir = context.store().settings.data_dir
    background = Background(data_dir)
    if background.is_running:
        return _busy()
    Uploads(data_dir).remove()
    background.forget()
    return _back()


@blueprint.post("/setup/files/restore", guard="setup")
def restore() -> AnyResponse | tuple[str, int]:
    """Put the backup that was sent and checked in the place of the database of a new one."""
    browser, t, settings = administrators.required(), preferences.texts(), context.store().settings
    run = Background(settings.data_dir).current()
    with context.view() as view:
        why_not = files.why_not_restored(settings, view.last_id, t)
    of_uploads = Uploads(settings.data_dir)
    sent = of_uploads.files
    # Another file may be on its way to the place of the one that was checked.
    if not files.is_checked(run) or len(sent) != 1 or of_uploads.is_receiving:
        why_not = t("Send the backup first; it is checked before it is restored.")
    if why_not:
        return as_files(why_not, 409)
    try:
        files.start(settings, browser, t, ["restore", str(sent[0]), "--by-service"])
    except BackgroundBusy:
        return _busy()
    log.warning("A backup is restored by %s", browser.name)
    reload(settings)
    return shown("setup/restoring.html", 202)


@blueprint.post("/setup/files/retention", guard="setup")
def set_retention() -> AnyResponse | tuple[str, int]:
    """Set after how many days readings are removed; then `/setup/files`."""
    browser, t = administrators.required(), preferences.texts()
    days, problem = _days(request.form.get("days", ""))
    if problem:
        return as_files(status=400, problems={"days": problem})
    try:
        edit = changes.settings_edit(
            "retention_days", lambda keys: changes.put(keys, "retention_days", days)
        )
    except SettingsError as error:
        return as_files(t("Nothing was changed: {reason}", reason=str(error)), 409)
    changes.make(browser, edit)
    return _back("kept")


def _started(
    browser: Browser, *arguments: str, kind: str = "", **values: str
) -> AnyResponse | tuple[str, int]:
    kind = kind or arguments[0]
    settings, t = context.store().settings, preferences.texts()
    if kind in files.OF_UPLOADS and Uploads(settings.data_dir).is_receiving:
        return _busy()
    try:
        files.start(settings, browser, t, [*arguments], kind=kind, **values)
    except BackgroundBusy:
        return _busy()
    log.info("%s was started by %s", kind, browser.name)
    return _back()


def _preview(browser: Browser, fields: Mapping[str, str]) -> AnyResponse | tuple[str, int]:
    arguments, problems = _import_options(fields)
    if problems:
        return as_files(status=400, problems=problems)
    words = ("import", "--dry-run", "--json", *arguments, *_sent())
    chosen = {name: fields.get(name, "") for name in ("zone", "endpoint", "accept")}
    return _started(browser, *words, kind="preview", **chosen)


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
    if endpoint := fields.get("endpoint", ""):
        if endpoint in settings.stations.by_endpoint:
            arguments.append(f"--endpoint={endpoint}")
        else:
            problems["endpoint"] = t("There is no such station.")
    if fields.get("accept"):
        arguments.append("--accept-last-line")
    if not _sent():
        problems["files"] = t("Choose a file first.")
    return arguments, problems


def _sent() -> list[str]:
    # After it, a name that begins with a hyphen is no option.
    paths = Uploads(context.store().settings.data_dir).files
    return ["--", *map(str, paths)] if paths else []


def _refused_upload(sent: Uploads, message: str, status: int) -> tuple[str, int]:
    """The page with the reason; what came is removed unless it is being used."""
    if not Background(context.store().settings.data_dir).is_running:
        sent.remove()
    return as_files(message, status)


def _busy() -> tuple[str, int]:
    return as_files(preferences.texts()("Something else is running; wait until it is done."), 409)


def _back(anchor: str = "run") -> AnyResponse:
    return redirect(url_for("setup.as_files", _anchor=anchor), 303)


def _download(path: Path | None) -> AnyResponse:
    if administrators.browser() is None:
        abort(403)
    if path is None:
        abort(404)
    # In pieces, also from the middle where a download broke off; nothing of it is in memory.
    answer = send_file(path, as_attachment=True, download_name=path.name, conditional=True)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _days(raw: str) -> tuple[int | None, str]:
    """Return after how many days readings are to be removed; or what is wrong."""
    try:
        return readers.from_text(int, readers.retention_days)(raw), ""
    except WrongEntry:
        return None, preferences.texts()(
            "a whole number of days from {low} to {high} is needed, or 0 to keep all readings",
            low=readers.RETENTION_MIN_DAYS,
            high=readers.RETENTION_MAX_DAYS,
        )
