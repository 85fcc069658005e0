"""What several commands have alike: options that exclude each other, and a bar of progress."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from gettext import gettext as _

import click

from flask10x.errors import nearest
from flask10x.system.progress import Advance, unseen

# How often a bar changes: one of 36 characters with a percentage needs no more.
DRAWN_TIMES = 200


def only_one(flags: Mapping[str, bool]) -> str | None:
    """The action whose flag was given, named as on the command line; None for none.

    Raises click.UsageError for two: whoever asks for a dry run of a rebuild must not get a rebuild.
    """
    given = [name.replace("_", "-") for name, wanted in flags.items() if wanted]
    if len(given) > 1:
        options = _(" and ").join(f"--{name}" for name in given)
        raise click.UsageError(_("{options} do not go together").format(options=options))
    return given[0] if given else None


def check_names(hint: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raises click.BadParameter for a name that is none of the known ones, for `hint` as its place.

    The names are those of `stations.toml`, so they are not known before the settings are read.
    """
    names = list(known)
    for name in given:
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
    """A bar, advanced by what was just done, of `length` in all; 100 % is the end of the block.

    Where standard error is no terminal (a file, a mail of cron's), the command's own line is all.
    """
    if not sys.stderr.isatty():
        with unseen(label, length) as advance:
            yield advance
        return
    steps = max(1, length)
    # To draw costs more than to read a line of a file.
    drawn = max(1, steps // DRAWN_TIMES)
    with click.progressbar(
        length=steps, label=label, file=sys.stderr, update_min_steps=drawn
    ) as bar:
        done = 0

        def advance_to_the_last(amount: int) -> None:
            nonlocal done
            # A length may be an estimate: the work is not done before it ends.
            now = min(steps - 1, done + amount)
            bar.update(now - done)
            done = now

        yield advance_to_the_last
        bar.update(max(drawn, steps - done))
