#!/usr/bin/env python3
"""For cron: append new readings to the CSV files, as `flask10x export` does; it takes its options.

Any `python3` may start it: where Flask10X is not installed, it goes on with the Python of the
checkout's virtual environment.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

INSTALLED = Path(__file__).resolve().parent.parent / ".venv" / "bin" / "python"


def main() -> None:
    """Export; the exit status is that of `flask10x export`."""
    if find_spec("flask10x") is None and INSTALLED.exists():
        os.execv(INSTALLED, [str(INSTALLED), *sys.argv])  # noqa: S606
    from flask10x.commands.main import main as command_line  # noqa: PLC0415

    command_line(["export", *sys.argv[1:]])


if __name__ == "__main__":
    main()
