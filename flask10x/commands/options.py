"""What several commands share: checks of options, remarks, and a progress bar."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from gettext import gettext as _
from pathlib import Path
from typing import Any

import click

from flask10x.errors import nearest
from flask10x.system import backup_files
from flask10x.system.progress import Advance

# How often a bar is drawn: one of 36 characters with a percentage needs no more.
DRAWN_TIMES = 200

Report = Callable[[str, int, int], object]
"""Called with the label of a work, how much of it is done, and its amount."""
_reports: list[Report] = []


def report_to(report: Report) -> None:
    """Say the progress of this process here from now on, too."""
    _reports.append(report)


class BackupFile(click.Path):
    """A backup, which may also be named as the plain file that it was when it was the newest."""

    def __init__(self) -> None:
        """It has to exist."""
        super().__init__(exists=True, dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path of the file that is there."""
        path = Path(os.fsdecode(value))
        if backup_files.FINAL_NAME.fullmatch(path.name) and not path.exists():
            pages = backup_files.pages_path(path)
            value = pages if pages.exists() else value
        return Path(os.fsdecode(super().convert(value, param, ctx)))


def only_one(flags: Mapping[str, bool]) -> str | None:
    """Return the action whose flag is set, named as on the command line; None without one.

    Raises click.UsageError for two: a dry run of a rebuild must not become a rebuild.
    """
    actions = [name.replace("_", "-") for name, is_set in flags.items() if is_set]
    if len(actions) > 1:
        options = _(" and ").join(f"--{name}" for name in actions)
        raise click.UsageError(_("{options} do not go together").format(options=options))
    return actions[0] if actions else None


def remark(text: object) -> None:
    """Print a line of the command itself to standard error."""
    click.echo(f"flask10x: {text}", err=True)


def renamed(former: str, name: str) -> None:
    """Say that an option was given by its former name."""
    remark(_("{former} is called {name} now").format(former=former, name=name))


def check_names(hint: str, chosen: Iterable[str], existing: Iterable[str]) -> None:
    """Raise click.BadParameter, with `hint` as its place, for a name that does not exist.

    The names are those of `stations.toml`, so the option can't check them before the settings are
    read.
    """
    names = list(existing)
    for name in chosen:
        if name not in names:
            near = nearest(name, names)
            text = (
                _("there is no {name}; did you mean {near}? There are: {names}")
                if near
                else _("there is no {name}; there are: {names}")
            )
            shown = text.format(name=repr(name), near=near, names=", ".join(names))
            raise click.BadParameter(shown, param_hint=hint)


@contextmanager
def progress(label: str, length: int) -> Iterator[Advance]:
    """Show a progress bar for the block; the function advances it by what was just done.

    It shows 100 % of `length` at the end of the block. Where standard error is no terminal, nothing
    is shown.
    """
    steps = max(1, length)
    # Drawing costs more than reading a line of a file.
    drawn = max(1, steps // DRAWN_TIMES)
    with click.progressbar(
        length=steps,
        label=label,
        file=sys.stderr,
        update_min_steps=drawn,
        hidden=not sys.stderr.isatty(),
    ) as bar:
        position = 0
        _report(label, 0, steps)

        def advance_to_the_last(amount: int) -> None:
            nonlocal position
            # The length may be an estimate, so 100 % waits for the end of the work.
            before, position = position, min(steps - 1, position + amount)
            bar.update(position - before)
            _report(label, position, steps)

        yield advance_to_the_last
        bar.update(max(drawn, steps - position))
        _report(label, steps, steps)


def _report(label: str, done: int, total: int) -> None:
    for report in _reports:
        report(label, done, total)
