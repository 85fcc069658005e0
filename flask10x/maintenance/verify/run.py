"""One run of `flask10x verify`: what differs, its repair, and the same comparison once more."""

import logging
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from gettext import gettext as _

from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database import engines, verified
from flask10x.database.database import Database
from flask10x.database.verified import Difference, Result
from flask10x.errors import Flask10xError
from flask10x.maintenance.verify.comparing import compare, steps
from flask10x.maintenance.verify.findings import Comparison
from flask10x.maintenance.verify.repairing import accept, repair
from flask10x.maintenance.verify.wording import Words
from flask10x.system import logs
from flask10x.system.clock import now_ms
from flask10x.system.locks import FileLock, lock_path
from flask10x.system.progress import Bar, unseen
from flask10x.translation import translation

# An export or the removal of old readings holds its lock for no longer, mostly.
LOCK_SEC = 120.0
# A damaged table, a reading in it, the file and the sums of that: each is a round of its own.
ROUNDS_MAX = 5


def verify(
    settings: Settings,
    database: Database,
    *,
    repairs: bool = False,
    accepted: Collection[int] = (),
    bar: Bar = unseen,
) -> Result:
    """Compare all copies, repair or accept what differs, and return what was found.

    With `repairs` what is wrong is put back; the readings `accepted` are right as the table has
    them. After each change everything is compared again, so nothing of the result is repaired that
    still differs. The caller holds the lock `verify`. Raises OSError where the result can't be
    kept, and what a backup or a commit raises where a repair fails, and VerifyRefused; the result
    is kept then. What can't be compared is a difference of the result.
    """
    began_sec, failure = time.monotonic(), None
    compared, found = _compared(settings, database, bar), dict[tuple[object, ...], Difference]()
    try:
        if accepted:
            found |= _by_place(compared)
            with _exports_held(settings):
                accept(compared, accepted)
            compared = _compared(settings, database, bar)
        for _round in range(ROUNDS_MAX if repairs and compared.findings else 0):
            with _exports_held(settings):
                is_repaired = repair(compared)
            if not is_repaired:
                break
            found |= _by_place(compared)
            compared = _compared(settings, database, bar)
    except (Flask10xError, DBAPIError, OSError) as error:
        failure = error
    left = _by_place(compared)
    gone = [replace(each, is_repaired=True) for key, each in found.items() if key not in left]
    result = Result(
        finished_at=now_ms(),
        seconds=round(time.monotonic() - began_sec, 1),
        readings=compared.readings,
        lines=compared.lines,
        hours=compared.hours,
        backup=compared.backup,
        backup_readings=compared.saved.compared if compared.saved else 0,
        differences=(*gone, *left.values()),
        left_out=compared.left_out,
    )
    verified.save(settings, result)
    words = Words(settings, translation("en"))
    for difference in result.differences:
        level = logging.INFO if difference.is_repaired else logging.WARNING
        logs.write_line(settings, level, words.difference(difference))
    if failure is not None:
        raise failure
    return result


def _compared(settings: Settings, database: Database, bar: Bar) -> Comparison:
    with bar(_("verify"), steps(settings)) as advance:
        return compare(settings, database, advance)


def _by_place(compared: Comparison) -> dict[tuple[object, ...], Difference]:
    """Return the differences by what they are about."""
    differences = [each.difference for each in compared.findings]
    return {(each.kind, each.station, each.number, each.path): each for each in differences}


@contextmanager
def _exports_held(settings: Settings) -> Iterator[None]:
    held = FileLock(lock_path(engines.engine_of(settings).require(), "export"))
    try:
        held.acquire(LOCK_SEC)
        yield
    finally:
        held.close()
