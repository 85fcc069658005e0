"""`python -m flask10x.commands.background FOLDER …`: a command of ours, beside the service.

A page has started it (`system/background.py`). It gives way to everything else, and shows its
progress and its exit status in files of the folder.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

from flask10x.commands import options
from flask10x.commands.main import main
from flask10x.system import limits
from flask10x.system.background import ProgressFile, note_status


def run(folder: Path, arguments: list[str]) -> None:
    """Run the command line with these arguments, and note its exit status."""
    # By the niceness Linux also chooses the order at the card (man 2 ioprio_set).
    with suppress(OSError):
        os.nice(limits.MAX_NICE)
    limits.end_first()
    options.report_to(ProgressFile(folder).show)
    status: object = 1
    try:
        main(arguments)
        status = 0
    except SystemExit as end:
        status = end.code
        raise
    finally:
        note_status(folder, status if isinstance(status, int) else int(status is not None))


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2:])
