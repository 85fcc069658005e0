"""Opening the state file: one that is broken is put aside, and a new one is begun."""

import logging
from pathlib import Path

from flask10x.alerts.state_file import StateFile
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import JOURNAL, SHARED_MEMORY, WAL, beside

log = logging.getLogger(__name__)


def put_aside(file: StateFile, error: BaseException, moment: str) -> Path:
    """Rename a broken state file, with what SQLite keeps beside it; where it is now.

    Alerts that are active will be told once more. Raises OSError when it can't be renamed.
    """
    file.close()
    aside = file.path.with_name(f"{file.path.name}.damaged-{moment}")
    for suffix in (JOURNAL, SHARED_MEMORY, WAL):
        beside(file.path, suffix).unlink(missing_ok=True)
    file.path.rename(aside)
    log.error("The state of alerts was broken (%s): it is now %s", reason_of(error), aside)
    return aside
