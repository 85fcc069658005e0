"""`flask10x rejected list|show|replay|purge`: rejected readings, and storing the good ones."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from gettext import gettext as _
from typing import Any

import click

from flask10x.commands import translated
from flask10x.commands.database import database_errors, opened
from flask10x.commands.options import check_names, remark
from flask10x.commands.translated import columns
from flask10x.config import settings
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.readings.reasons import WrongValue, for_people, in_language
from flask10x.readings.times import local_text, parse_bound
from flask10x.recording import rejected
from flask10x.recording.rejected import RejectedRow, Selection
from flask10x.recording.replay import ReplayOutcome, replay
from flask10x.system.clock import now_ms
from flask10x.system.wording import escape
from flask10x.translation import chosen

LISTED_ROWS = 20
# The length of a line of the list; `show` has the rest.
LISTED_CHARS = 160
# The width of the longest label of `show` and a space.
LABEL_COLUMNS = 14
# The number of reasons in a summary.
SHOWN_REASONS = 10

numbers = click.argument("numbers", metavar="[ID]...", type=click.IntRange(1), nargs=-1)


def selecting(action: Callable[..., None]) -> Callable[..., None]:
    """Add the options that select readings; `action` gets the settings and the selection."""

    @translated.option(
        "--endpoint",
        "endpoints",
        multiple=True,
        metavar="STATION",
        help="Only of this station; may be given several times.",
    )
    @translated.option("--from", "since", metavar="TIME", help="Only received from then on.")
    @translated.option("--to", "until", metavar="TIME", help="Only received until then.")
    @wraps(action)
    def with_selection(
        endpoints: tuple[str, ...],
        since: str | None,
        until: str | None,
        numbers: tuple[int, ...] = (),
        **options: Any,
    ) -> None:
        config = settings.load()
        selection = Selection(
            ids=numbers,
            endpoints=endpoints,
            since_ms=_instant(config, "--from", since, end=False),
            until_ms=_instant(config, "--to", until, end=True),
        )
        action(config, selection, **options)

    return with_selection


@click.group(cls=translated.TranslatedGroup)
def command() -> None:
    """Show rejected readings, and store those that are good now.

    TIME is 2025-08-24, "2025-08-24 09:00", -24h, -30d and so on, as in the history.
    """


@command.command("list")
@selecting
@translated.option("--all", "everything", is_flag=True, help="Also those that a replay has stored.")
@translated.option("--limit", type=click.IntRange(1, 1000), default=LISTED_ROWS, show_default=True)
def list_command(config: Settings, selection: Selection, everything: bool, limit: int) -> None:
    """Show the newest rejected readings, a line each: id, time, station, reasons."""
    if not everything:
        selection = replace(selection, replayed=False)
    with _database(config, selection.endpoints) as database, database.reader.begin() as connection:
        page = rejected.page(connection, selection, None, limit)
    for row in page.rows:
        click.echo(_line(config, row))
    if not page.rows:
        remark(_("no rejected reading matches"))
    if page.older:
        remark(_("there are older ones; this shows {n}").format(n=limit))


@command.command("show")
@click.argument("number", metavar="ID", type=click.IntRange(1))
@translated.option(
    "--body", "only_body", is_flag=True, help="Only the bytes of the body, as they came."
)
def show_command(number: int, only_body: bool) -> None:
    """Show all details of one rejected reading."""
    config = settings.load()
    with _database(config) as database, database.reader.begin() as connection:
        row = rejected.by_id(connection, number)
    if row is None:
        raise _no_such([number])
    if only_body:
        click.echo(row.body, nl=False)
        return
    for name, value in _facts(config, row):
        click.echo(f"{name}{' ' * (LABEL_COLUMNS - columns(name))}{value}")


@command.command("replay")
@numbers
@selecting
@translated.option("--dry-run", is_flag=True, help="Only say what would be stored.")
def replay_command(config: Settings, selection: Selection, dry_run: bool) -> None:
    """Check rejected readings again with the current settings, and store those that are good now.

    Each keeps its time of receipt and is stored once, however often this runs. Without an ID or an
    option all of them are checked. Exit status: 1 when an ID was given whose reading is still
    rejected, or that does not exist.
    """
    numbers = set(selection.ids)
    with _database(config, selection.endpoints) as database:
        outcomes = list(replay(config, database, selection, dry_run=dry_run))
        unseen = sorted(numbers - {outcome.id for outcome in outcomes})
        with database.reader.begin() as connection:
            missing = [number for number in unseen if rejected.by_id(connection, number) is None]
    _report(outcomes, dry_run)
    if missing:
        raise _no_such(missing)
    if numbers and not all(outcome.good for outcome in outcomes):
        sys.exit(1)


@command.command("purge")
@numbers
@selecting
@translated.option("--replayed", is_flag=True, help="Only those that a replay has stored.")
@translated.option("--all", "everything", is_flag=True, help="All of them.")
def purge_command(config: Settings, selection: Selection, replayed: bool, everything: bool) -> None:
    """Delete the given rejected readings permanently."""
    selection = replace(selection, replayed=replayed or None)
    if everything == bool(selection.clauses()):
        raise click.UsageError(_("say which: an ID or options, or --all alone"))
    with _database(config, selection.endpoints) as database:
        deleted = sum(rejected.purge(database, selection))
    click.echo(_("{n} deleted").format(n=deleted))


@contextmanager
def _database(config: Settings, endpoints: Sequence[str] = ()) -> Iterator[Database]:
    """Open the database; raises click.BadParameter for an unknown endpoint."""
    with opened(config) as database, database_errors():
        if endpoints:
            with database.reader.begin() as connection:
                senders = {*map(escape, rejected.endpoints(connection))}
            check_names("--endpoint", endpoints, sorted(senders | {*config.stations.by_endpoint}))
        yield database


def _instant(config: Settings, name: str, text: str | None, *, end: bool) -> int | None:
    if text is None:
        return None
    try:
        return parse_bound(text, config.zone, now_ms(), end=end)
    except WrongValue as error:
        raise click.BadParameter(in_language(error.reason, chosen()), param_hint=name) from None


def _no_such(numbers: list[int]) -> click.ClickException:
    shown = ", ".join(map(str, numbers))
    return click.ClickException(_("there is no rejected reading {ids}").format(ids=shown))


def _line(config: Settings, row: RejectedRow) -> str:
    shown = for_people(row.reasons, row.hint).items()
    reasons = "; ".join(f"{path}: {in_language(reason, chosen())}" for path, reason in shown)
    reasons = reasons or in_language(row.hint, chosen())
    text = escape(f"/{row.endpoint} {reasons}")
    if row.reading_id:
        text += _(" (stored as reading {id})").format(id=row.reading_id)
    if len(text) > LISTED_CHARS:
        text = text[: LISTED_CHARS - 1] + "…"
    return f"{row.id} {local_text(row.received_at, config.zone)} {text}"


def _facts(config: Settings, row: RejectedRow) -> Iterator[tuple[str, str]]:
    stored = _("reading {id}").format(id=row.reading_id) if row.reading_id else _("not stored")
    yield _("id:"), str(row.id)
    yield _("received:"), local_text(row.received_at, config.zone)
    if row.measured_at is not None:
        yield _("measured:"), local_text(row.measured_at, config.zone)
    yield _("station:"), escape(row.endpoint)
    yield _("stored as:"), stored
    yield _("content type:"), escape(row.media_type) or _("none")
    for path, reason in for_people(row.reasons, row.hint).items():
        yield _("reason:"), escape(f"{path}: {in_language(reason, chosen())}")
    if row.hint:
        yield _("hint:"), escape(in_language(row.hint, chosen()))
    yield _("body:"), _("{n} bytes").format(n=row.body_bytes)
    yield "", rejected.text_of(row.body)


def _report(outcomes: list[ReplayOutcome], dry_run: bool) -> None:
    good = sum(outcome.good for outcome in outcomes)
    text = (
        _("{good} would be stored, {bad} still rejected")
        if dry_run
        else _("{good} stored, {bad} still rejected")
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
