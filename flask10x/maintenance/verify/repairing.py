"""Puts readings back, and makes again what is derived of them; never changes a backup.

One call is one round: what depends on a reading is looked at once more after it is put back.
"""

from collections import deque
from collections.abc import Collection
from contextlib import suppress
from functools import partial
from gettext import gettext as _
from typing import Any, get_args

from sqlalchemy import Connection, column, insert, table, update

from flask10x.config.settings import Settings
from flask10x.database import csv_owner, engines
from flask10x.database.removed import keep_removed_hours
from flask10x.database.running_service import running
from flask10x.database.sqlite.index import changes_rotten_rows, rebuild_index
from flask10x.database.tables import readings
from flask10x.database.verified import Difference, Place
from flask10x.errors import VerifyRefused
from flask10x.export import comparison
from flask10x.export.rebuild import rebuild as rebuild_file
from flask10x.history import annotations, rollup_check
from flask10x.history.annotations import WrittenNote
from flask10x.maintenance.backup import backup, write_copy
from flask10x.maintenance.verify.findings import Comparison, Finding, row_of
from flask10x.maintenance.verify.wording import Words
from flask10x.readings.times import HOUR_MS
from flask10x.system import backup_files, disk
from flask10x.system.clock import now_ms

# With more notes than these a chart is not readable; the log has them all.
NOTES_MAX = 20
BEFORE_REPAIR = "flask10x-before-repair-"


class _NotPutBack(Exception):
    """The reading is not as it should be; the change is undone."""


def repair(compared: Comparison) -> bool:
    """Repair what can be repaired now; return whether anything was.

    The caller holds the lock `export`. Raises what a backup or a commit raises.
    """
    if compared.is_damaged:
        return False
    if "index" in compared.out_of_order:
        # It takes minutes, during which no reading could be stored.
        if running(compared.settings) is not None:
            return False
        compared.database.commit_change(rebuild_index)
        return True
    if compared.out_of_order:
        _rebuild_rollups(compared)
        return True
    # What is derived depends on the readings, and is compared once more behind them.
    return _put_back_all(compared) or _make_derived_again(compared)


def _put_back_all(compared: Comparison) -> bool:
    """Put readings back, and sums of removed ones; a copy is made before, and a backup behind."""
    wrong = [each for each in compared.findings if each.right is not None or each.kept]
    if not wrong:
        return False
    _copy_before(compared.settings)
    done = [
        _put_back(compared, each, has_note=place < NOTES_MAX) for place, each in enumerate(wrong)
    ]
    if any(done):
        _back_up(compared.settings)
    return any(done)


def _make_derived_again(compared: Comparison) -> bool:
    """Write CSV files that the table gives, and make the roll-ups again."""
    differences = [each.difference for each in compared.findings]
    done = []
    for each in differences:
        if each.kind == "file" and each.right:
            csv_owner.check(compared.settings, compared.database)
            done.append(comparison.write_again(compared.files[each.station]))
    of_places = [each for each in differences if each.kind in get_args(Place)]
    of_sums = [each for each in of_places if each.kind in ("hour", "day")]
    # While it can't be said what is wrong, an hour may be all that shows that a reading is.
    if of_sums and all(each.wrong and "table" not in each.wrong for each in of_places):
        _rebuild_rollups(compared)
        done.append(True)
    return any(done)


def accept(compared: Comparison, ids: Collection[int]) -> None:
    """Make what the table has of these readings the right value, in every copy.

    The CSV file is written again, the one of before is kept as `.old`; a new backup is made. The
    caller holds the lock `export`. Raises VerifyRefused where a reading does not differ, or
    something else does that this would take for right, too.
    """
    settings, database = compared.settings, compared.database
    accepted = _accepted(compared, ids)
    if compared.out_of_index & {*ids}:
        if running(settings) is not None:
            raise VerifyRefused(_("the index is to be made again: stop the service first"))
        database.commit_change(rebuild_index)
    stations = {each.station for each in accepted}
    of_files = [
        settings.stations.by_endpoint[endpoint]
        for endpoint, file in compared.files.items()
        if endpoint in stations and not file.is_of_table
    ]
    for outcome in rebuild_file(settings, database, of_files, accepts=True):
        if outcome.failed:
            raise VerifyRefused(str(outcome))
    _rebuild_rollups(compared)
    words = Words(settings)
    for each in accepted:
        database.commit_change(partial(_note, difference=each, text=words.accepted(each)))
    _back_up(settings)


def _accepted(compared: Comparison, ids: Collection[int]) -> list[Difference]:
    """Return the differences that are no more if the table is right about these readings."""
    places = set[tuple[str, int]]()
    with compared.database.reader.begin() as connection:
        for number in ids:
            if (row := row_of(connection, number)) is not None:
                places.add((row["endpoint"], row["received_at"] // HOUR_MS))
    accepted, others, numbers = list[Difference](), list[Difference](), set[int]()
    for each in compared.findings:
        difference = each.difference
        if difference.kind in ("reading", "line") and difference.number in ids:
            accepted.append(difference)
            numbers.add(difference.number)
        elif difference.kind == "hour" and places & each.places:
            # It may be all that shows that the reading has changed.
            accepted.append(difference)
            numbers |= {*ids}
        elif difference.kind in ("reading", "line", "hour", "kept", "tree"):
            others.append(difference)
    if missing := sorted({*ids} - numbers):
        text = _("nothing differs at these readings: {ids}")
        raise VerifyRefused(text.format(ids=", ".join(map(str, missing))))
    if others or compared.is_damaged:
        text = _("something else differs, too; repair it first, or accept it as well: {what}")
        shown = " ".join(map(Words(compared.settings).difference, others))
        raise VerifyRefused(text.format(what=shown))
    return accepted


def _rebuild_rollups(compared: Comparison) -> None:
    settings = compared.settings
    deque(rollup_check.rebuild(settings.stations, compared.database, settings.zone), maxlen=0)


def _copy_before(settings: Settings) -> None:
    """Copy the database with what is wrong in it, under a name that no backup has; one is kept."""
    folder = settings.backup_dir
    folder.mkdir(exist_ok=True)
    path = folder / f"{BEFORE_REPAIR}{disk.moment(settings.zone)}.sqlite3"
    former = [*folder.glob(f"{BEFORE_REPAIR}*.sqlite3")]
    path.unlink(missing_ok=True)
    write_copy(settings, path)
    disk.sync(path)
    disk.leave_to_owner(path, folder)
    disk.sync(folder)
    for each in former:
        if each != path:
            each.unlink(missing_ok=True)


def _back_up(settings: Settings) -> None:
    """Make a backup of what is right now; it is the one to compare with."""
    folder = settings.backup_dir
    # None is removed: an older one may show what was right before.
    number = len(backup_files.restorable(folder)) if folder.is_dir() else 0
    backup(settings, folder, number + 1)


def _put_back(compared: Comparison, finding: Finding, *, has_note: bool) -> bool:
    """Put a reading, or the sums of removed ones, back, unless the table has changed since."""
    number, right = finding.difference.number, finding.right
    # Its text may be no text any more.
    with (
        engines.engine_of(compared.settings).plain_reader() as reader,
        reader.begin() as connection,
    ):
        if right is not None and row_of(connection, number) != finding.stored:
            return False

    def change(connection: Connection) -> None:
        if finding.kept:
            keep_removed_hours(connection, finding.kept)
        elif right is not None:
            # Also the columns that only this installation has.
            rows: Any = table(readings.name, column("id"), *map(column, right))
            if (stored := finding.stored) is None:
                connection.execute(insert(rows).values(id=number, **right))
            else:
                changed = {key: value for key, value in right.items() if value != stored.get(key)}
                with changes_rotten_rows(connection):
                    connection.execute(update(rows).where(rows.c.id == number).values(changed))
            if row_of(connection, number) != right:
                raise _NotPutBack
        if has_note:
            text = Words(compared.settings).repaired(finding.difference)
            _note(connection, finding.difference, text)

    with suppress(_NotPutBack):
        compared.database.commit_change(change)
        return True
    return False


def _note(connection: Connection, difference: Difference, text: str) -> None:
    """Note in the history what was done, in the language of the messages."""
    at_ms = difference.at_ms
    if at_ms is None or not annotations.has_room(connection, "note"):
        return
    last_ms = at_ms + (HOUR_MS - 1 if difference.kind in ("hour", "kept") else 0)
    note = WrittenNote(
        endpoint=difference.station,
        first_ms=at_ms,
        last_ms=last_ms,
        text=text,
        written_at=now_ms(),
    )
    annotations.add(connection, note)
