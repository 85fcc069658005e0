"""What several commands have alike: options that exclude each other, and a bar of progress."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import click


def only_one(flags: Mapping[str, bool]) -> str | None:
    """The action whose flag was given, named as on the command line; None for none.

    Raises click.UsageError for two: whoever asks for a dry run of a rebuild must not get a rebuild.
    """
    given = [name.replace("_", "-") for name, wanted in flags.items() if wanted]
    if len(given) > 1:
        raise click.UsageError(f"--{' and --'.join(given)} do not go together")
    return given[0] if given else None


@contextmanager
def progress(label: str, length: int) -> Iterator[Callable[[int], object]]:
    """Call it with what was just done, of `length` in all.

    Where standard error is no terminal (a file, a mail of cron's), the command's own line is all.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield bar.update
