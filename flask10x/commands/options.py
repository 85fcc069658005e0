"""Options of which each names another action: at most one of them makes sense."""

from collections.abc import Mapping

import click


def only_one(flags: Mapping[str, bool]) -> str | None:
    """The action whose flag was given, named as on the command line; None for none.

    Raises click.UsageError for two: whoever asks for a dry run of a rebuild must not get a rebuild.
    """
    given = [name.replace("_", "-") for name, wanted in flags.items() if wanted]
    if len(given) > 1:
        raise click.UsageError(f"--{' and --'.join(given)} do not go together")
    return given[0] if given else None
