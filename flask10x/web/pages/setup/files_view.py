"""`/setup/files`: backups, exports, imports and retention, in the browser.

All that takes long is a command of ours in a process of its own (`system/background.py`), one at a
time; the page shows how far it is, and what it said.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

from flask import abort, redirect, request, send_file, url_for
from werkzeug.wrappers import Response as AnyResponse

from flask10x.config import readers
from flask10x.config.readers import WrongEntry
from flask10x.database import engines
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import database_path, url_of
from flask10x.errors import BackgroundBusy, SettingsError, UploadRefused
from flask10x.health.checks import FAILURES, Checks
from flask10x.readings.times import zone_name_of
from flask10x.runtime.administrators import Browser
from flask10x.runtime.setup_files import reload
from flask10x.system import clock
from flask10x.system.background import Background
from flask10x.system.uploads import Uploads
from flask10x.system.wording import size
from flask10x.web import administrators, context, preferences, uploads
from flask10x.web.limits import UPLOAD_MAX_BYTES, UPLOAD_PATH
from flask10x.web.pages.setup import changes, files
from flask10x.web.pages.setup.page import blueprint, shown
from flask10x.web.pages.status.answers import gathered
from flask10x.web.pages.status.commands import Shell, shell

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
    settings, background = store.settings, Background(store.settings.data_dir)
    run, own = background.current(), shell(settings)
    known = gathered(store, now_ms)
    checks = Checks(settings, known, t, now_ms)
    days, problem = _days()
    sent, previews = Uploads(settings.data_dir), files.previews(run)
    return shown(
        "setup/files.html",
        status,
        message=message,
        problems={**({"days": problem} if problem else {}), **(problems or {})},
        run=files.shown(run, t) if run else None,
        backups=_backups(),
        next_at={name: _next(timer) for name, timer in TIMERS.items()},
        timers=TIMERS,
        answers={
            "backup": checks.backed_up(),
            "export": checks.exported(),
            "card": checks.card(),
        },
        sent=sent.files,
        previews=previews,
        endpoint=files.endpoint_of(run, previews),
        rejected=files.rejected_files(settings),
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
        own_days=files.own_days(settings),
        removals=_removals(days),
        is_set_outside=changes.place_elsewhere("retention_days"),
        local_time=lambda ms: files.local(ms, settings.zone, t),
        commands={
            "backup": own.flask10x("backup"),
            "export": own.flask10x("export"),
            "import": own.flask10x("import", "BedRoomEnv.csv"),
            "restore": _restoring(own),
        },
    )


@blueprint.get("/setup/files/backups/<name>")
def as_backup(name: str) -> AnyResponse | tuple[str, int]:
    """A backup, or its sum, for an administrator's browser."""
    _only_administrators()
    path = files.backup_path(context.store().settings, name)
    return _download(path)


@blueprint.get("/setup/files/rejected/<number>")
def as_rejected(number: str) -> AnyResponse | tuple[str, int]:
    """The rejected rows of a file that was sent, for an administrator's browser."""
    _only_administrators()
    return _download(files.rejected_path(context.store().settings, number))


@blueprint.post("/setup/files/backup", guard="setup")
def back_up() -> AnyResponse | tuple[str, int]:
    """Make a backup now; then `/setup/files`, which shows how far it is."""
    return _started("backup")


@blueprint.post("/setup/files/verify", guard="setup")
def verify() -> AnyResponse | tuple[str, int]:
    """Check the backup of this name."""
    administrators.required()
    path = files.backup_path(context.store().settings, request.form.get("name", ""))
    if path is None:
        abort(404)
    return _started("backup", "--verify", str(path), kind="verify")


@blueprint.post("/setup/files/export", guard="setup")
def export() -> AnyResponse | tuple[str, int]:
    """Export now."""
    return _started("export")


@blueprint.post(UPLOAD_PATH, guard="setup")
def upload() -> AnyResponse | tuple[str, int]:
    """Take files, which the body has brought already, and look through them."""
    settings, t = context.store().settings, preferences.texts()
    sent = Uploads(settings.data_dir)
    try:
        received = uploads.received()
        kind = files.kind_of(sent.files, t)
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
    if kind == "backup":
        return _started_by(
            browser, "backup", "--verify", str(sent.files[0]), "--sent", kind="check"
        )
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
    return _started_by(browser, "import", *arguments, *_sent(), kind="import")


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
        files.ask_to_restore(settings, browser, t, sent[0])
    except BackgroundBusy:
        return _busy()
    log.warning("A backup is restored by %s", browser.name)
    reload(settings)
    return shown("setup/restoring.html", 202)


@blueprint.post("/setup/files/retention", guard="setup")
def set_retention() -> AnyResponse | tuple[str, int]:
    """Set after how many days readings are removed; then `/setup/files`."""
    browser, t = administrators.required(), preferences.texts()
    raw = request.form.get("days", "")
    try:
        days = readers.from_text(int, readers.retention_days)(raw)
        edit = changes.settings_edit(
            "retention_days", lambda keys: changes.put(keys, "retention_days", days)
        )
    except WrongEntry:
        return as_files(status=400, problems={"days": _days_needed()})
    except SettingsError as error:
        return as_files(t("Nothing was changed: {reason}", reason=str(error)), 409)
    changes.make(browser, edit)
    return _back("kept")


def _started(*arguments: str, kind: str = "") -> AnyResponse | tuple[str, int]:
    return _started_by(administrators.required(), *arguments, kind=kind)


def _started_by(
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
    return _started_by(browser, *words, kind="preview", **chosen)


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


def _restoring(own: Shell) -> str:
    """Return what restores the file FILE where a button does not."""
    if engines.of(own.settings).is_file:
        return own.command("restore_any", file="FILE")
    target = url_of(own.settings)
    return own.flask10x("copy", "--from", "sqlite:////FILE", "--to", target)


def _only_administrators() -> None:
    if administrators.browser() is None:
        abort(403)


def _download(path: Path | None) -> AnyResponse:
    if path is None:
        abort(404)
    # In pieces, also from the middle where a download broke off; nothing of it is in memory.
    answer = send_file(path, as_attachment=True, download_name=path.name, conditional=True)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _backups() -> list[files.BackupFile]:
    try:
        return files.backups(context.store().settings)
    except OSError as error:
        # `/status` has the reason, and the answer above the list.
        log.error("The backups cannot be listed: %s", error)
        return []


def _next(timer: str) -> tuple[str, str]:
    """Return whether it is known when a timer starts next, and when."""
    state, at_ms = files.next_of_timer(timer)
    settings, t = context.store().settings, preferences.texts()
    return state, files.local(at_ms, settings.zone, t) if at_ms else ""


def _days() -> tuple[int | None, str]:
    """Return the days of which the page is asked what they would remove; or what is wrong."""
    raw = request.args.get("days", "")
    if not raw:
        return None, ""
    try:
        return readers.from_text(int, readers.retention_days)(raw) or None, ""
    except WrongEntry:
        return None, _days_needed()


def _days_needed() -> str:
    return preferences.texts()(
        "a whole number of days from {low} to {high} is needed, or 0 to keep all readings",
        low=readers.RETENTION_MIN_DAYS,
        high=readers.RETENTION_MAX_DAYS,
    )


def _removals(days: int | None) -> list[files.Removal] | None:
    """Return what would go; None where it is not asked for, it takes too long, or can't be read."""
    if days is None:
        return None
    store, t = context.store(), preferences.texts()
    try:
        with context.view() as view:
            return files.removals(store, view, days, t)
    except FAILURES as error:
        log.warning("What would be removed cannot be counted: %s", reason_of(error))
        return None
