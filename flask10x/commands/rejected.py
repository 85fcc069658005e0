"""`flask10x rejected list|show|replay|purge`: look at refused readings, and store the good ones."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from gettext import gettext as _

import click
from sqlalchemy.exc import DBAPIError

from flask10x.commands import translated
from flask10x.commands.database import opened
from flask10x.commands.options import check_names
from flask10x.commands.translated import columns
from flask10x.config import settings
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.error_codes import reason_of
from flask10x.readings.reasons import WrongValue, in_language
from flask10x.readings.times import local_text, parse_bound
from flask10x.recording import rejected
from flask10x.recording.rejected import Kept, Selection
from flask10x.recording.replay import ReplayOutcome, replay
from flask10x.system.clock import now_ms
from flask10x.system.logs import escape
from flask10x.translation import chosen

LISTED_ROWS = 20
# A list shows one line for each reading; `show` has the rest.
LISTED_CHARS = 160
# As wide as the longest label of `show` and a space.
LABEL_COLUMNS = 14
# Reasons that a summary names; there are few different ones.
SHOWN_REASONS = 10

numbers = click.argument("numbers", metavar="[ID]...", type=click.IntRange(1), nargs=-1)
endpoint_option = translated.option(
    "--endpoint", "endpoints", multiple=True, metavar="STATION",
    help="Only of this station; may be given several times.",
)  # fmt: skip
since_option = translated.option(
    "--from", "since", metavar="TIME", help="Only received from then on."
)
until_option = translated.option("--to", "until", metavar="TIME", help="Only received until then.")


@click.group(cls=translated.TranslatedGroup)
def command() -> None:
    """Look at readings that were refused, and store those that are good by now.

    TIME is 2025-08-24, "2025-08-24 09:00", -24h, -30d and so on, as in the history.
    """


@command.command("list")
@endpoint_option
@since_option
@until_option
@translated.option("--all", "everything", is_flag=True, help="Also those that a replay has stored.")
@translated.option("--limit", type=click.IntRange(1, 1000), default=LISTED_ROWS, show_default=True)
def list_command(
    endpoints: tuple[str, ...], since: str | None, until: str | None, everything: bool, limit: int
) -> None:
    """Show the newest refused readings, a line each: id, time, station, reasons."""
    config = settings.load()
    selection = _selection(config, (), endpoints, since, until)
    if not everything:
        selection = replace(selection, replayed=False)
    with _database(config, endpoints) as database, database.reader.begin() as connection:
        page = rejected.page(connection, selection, None, limit)
    for kept in page.rows:
        click.echo(_line(config, kept))
    if not page.rows:
        _remark(_("no refused reading is kept that fits"))
    if page.older:
        _remark(_("there are older ones; this shows {n}").format(n=limit))


@command.command("show")
@click.argument("number", metavar="ID", type=click.IntRange(1))
@translated.option(
    "--body", "only_body", is_flag=True, help="Only the bytes of the body, as they came."
)
def show_command(number: int, only_body: bool) -> None:
    """Show everything that is known of one refused reading."""
    config = settings.load()
    with _database(config) as database, database.reader.begin() as connection:
        kept = rejected.by_id(connection, number)
    if kept is None:
        raise _no_such([number])
    if only_body:
        click.echo(kept.body, nl=False)
        return
    for name, value in _facts(config, kept):
        click.echo(f"{name}{' ' * (LABEL_COLUMNS - columns(name))}{value}")


@command.command("replay")
@numbers
@endpoint_option
@since_option
@until_option
@translated.option("--dry-run", is_flag=True, help="Only say what would be stored.")
def replay_command(
    numbers: tuple[int, ...],
    endpoints: tuple[str, ...],
    since: str | None,
    until: str | None,
    dry_run: bool,
) -> None:
    """Check refused readings again, by today's settings, and store those that are good now.

    Each keeps the time at which it came in and is stored once, however often this runs. Without
    an ID or an option all that were refused are checked. Exit status: 1 when an ID was given whose
    reading is still refused, or that there is not.
    """
    config = settings.load()
    selection = _selection(config, numbers, endpoints, since, until)
    with _database(config, endpoints) as database:
        outcomes = list(replay(config, database, selection, dry_run=dry_run))
        missing = _missing(database, set(numbers) - {outcome.id for outcome in outcomes})
    _report(outcomes, dry_run)
    if missing:
        raise _no_such(missing)
    if numbers and not all(outcome.good for outcome in outcomes):
        sys.exit(1)


@command.command("purge")
@numbers
@endpoint_option
@since_option
@until_option
@translated.option("--replayed", is_flag=True, help="Only those that a replay has stored.")
@translated.option("--all", "everything", is_flag=True, help="All of them.")
def purge_command(
    numbers: tuple[int, ...],
    endpoints: tuple[str, ...],
    since: str | None,
    until: str | None,
    replayed: bool,
    everything: bool,
) -> None:
    """Delete refused readings for good; say which."""
    config = settings.load()
    selection = _selection(config, numbers, endpoints, since, until, replayed or None)
    if everything == bool(selection.clauses()):
        raise click.UsageError(_("say which: an ID or options, or --all alone"))
    with _database(config, endpoints) as database:
        gone = sum(rejected.purge(database, selection))
    click.echo(_("{n} deleted").format(n=gone))


@contextmanager
def _database(config: Settings, endpoints: Sequence[str] = ()) -> Iterator[Database]:
    """The database, for these endpoints: stations, or what else has sent what is kept."""
    with opened(config) as database:
        try:
            if endpoints:
                with database.reader.begin() as connection:
                    known = {
                        *config.stations.by_endpoint,
                        *map(escape, rejected.endpoints(connection)),
                    }
                check_names("--endpoint", endpoints, sorted(known))
            yield database
        except DBAPIError as error:
            reason = _("the database cannot be used: {reason}").format(reason=reason_of(error))
            raise click.ClickException(reason) from error


def _selection(
    config: Settings,
    ids: tuple[int, ...],
    endpoints: tuple[str, ...],
    since: str | None,
    until: str | None,
    replayed: bool | None = None,
) -> Selection:
    return Selection(
        ids=ids,
        endpoints=endpoints,
        since_ms=_instant(config, "--from", since, end=False),
        until_ms=_instant(config, "--to", until, end=True),
        replayed=replayed,
    )


def _instant(config: Settings, name: str, text: str | None, *, end: bool) -> int | None:
    if text is None:
        return None
    try:
        return parse_bound(text, config.zone, now_ms(), end=end)
    except WrongValue as error:
        raise click.BadParameter(in_language(error.reason, chosen()), param_hint=name) from None


def _missing(database: Database, numbers: set[int]) -> list[int]:
    """Those that are in the table no more, or never were."""
    with database.reader.begin() as connection:
        return [number for number in sorted(numbers) if rejected.by_id(connection, number) is None]


def _no_such(numbers: list[int]) -> click.ClickException:
    shown = ", ".join(map(str, numbers))
    return click.ClickException(_("there is no rejected reading {ids}").format(ids=shown))


def _remark(text: str) -> None:
    click.echo(f"flask10x: {text}", err=True)


def _line(config: Settings, kept: Kept) -> str:
    reasons = "; ".join(
        f"{path}: {in_language(reason, chosen())}" for path, reason in kept.reasons.items()
    )
    text = escape(f"/{kept.endpoint} {reasons}")
    if kept.reading_id:
        text += _(" (stored as reading {id})").format(id=kept.reading_id)
    if len(text) > LISTED_CHARS:
        text = text[: LISTED_CHARS - 1] + "…"
    return f"{kept.id} {local_text(kept.received_at, config.zone)} {text}"


def _facts(config: Settings, kept: Kept) -> Iterator[tuple[str, str]]:
    stored = _("reading {id}").format(id=kept.reading_id) if kept.reading_id else _("not stored")
    yield _("id:"), str(kept.id)
    yield _("received:"), local_text(kept.received_at, config.zone)
    if kept.measured_at is not None:
        yield _("measured:"), local_text(kept.measured_at, config.zone)
    yield _("station:"), escape(kept.endpoint)
    yield _("stored as:"), stored
    yield _("content type:"), escape(kept.media_type) or _("none")
    for path, reason in kept.reasons.items():
        yield _("reason:"), escape(f"{path}: {in_language(reason, chosen())}")
    if kept.hint:
        yield _("hint:"), escape(in_language(kept.hint, chosen()))
    yield _("body:"), _("{n} bytes").format(n=kept.body_bytes)
    yield "", rejected.text_of(kept.body)


def _report(outcomes: list[ReplayOutcome], dry_run: bool) -> None:
    good = sum(outcome.good for outcome in outcomes)
    text = (
        _("{good} would be stored, {bad} still refused")
        if dry_run
        else _("{good} stored, {bad} still refused")
    )
    click.echo(text.format(good=good, bad=len(outcomes) - good))
    reasons = Counter(
        f"/{outcome.endpoint} {path}: {in_language(reason, chosen())}"
        for outcome in outcomes
        if not outcome.good
        for path, reason in outcome.reasons.items()
    )
    for reason, times in reasons.most_common(SHOWN_REASONS):
        click.echo(f"  {times} × {escape(reason)}")
