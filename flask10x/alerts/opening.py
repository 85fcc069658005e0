"""A state file that is broken is put aside; the next use begins a new one."""

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
    # The file last: as long as it is there by its name, the next try does the rest.
    for suffix in (JOURNAL, WAL):
        if beside(file.path, suffix).exists():
            beside(file.path, suffix).rename(beside(aside, suffix))
    beside(file.path, SHARED_MEMORY).unlink(missing_ok=True)
    file.path.rename(aside)
    log.error("The state of alerts was broken (%s): it is now %s", reason_of(error), aside)
    return aside
