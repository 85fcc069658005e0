"""`flask10x stations add`: one more station, from an example of its bodies or from answers."""

import json
import shlex
import sys
from collections.abc import Mapping
from gettext import gettext as _
from pathlib import Path
from typing import BinaryIO

import click
from sqlalchemy.exc import DBAPIError

from flask10x.commands import translated
from flask10x.commands.stations import questions
from flask10x.config import settings, station_file, station_text
from flask10x.config.reserved_names import RESERVED_ENDPOINTS
from flask10x.config.settings import Settings
from flask10x.config.station_proposal import Proposal, propose
from flask10x.config.station_values import ENDPOINT, endpoint_wanted
from flask10x.database import engines, schema
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import shown_name
from flask10x.maintenance import station_changes
from flask10x.readings.json_body import BODY_MAX_BYTES, InvalidBody, decode
from flask10x.readings.reasons import in_language
from flask10x.readings.stations import BUILT_IN, Stations
from flask10x.recording import latest_refused, rejected
from flask10x.recording.rejected import Kept
from flask10x.system.logs import escape
from flask10x.translation import chosen

# Longer bodies make no line for the shell that anybody reads.
SHOWN_BODY_CHARS = 500
CURL = ("curl", "-s", "-H", "Content-Type: application/json", "-d")


@translated.command("add")
@click.argument("endpoint", required=False)
@translated.option(
    "--from-json",
    "example",
    type=click.File("rb"),
    metavar="FILE",
    help="A file with one body as the board sends it; - is standard input.",
)
@translated.option(
    "--from-refused", is_flag=True, help="The last body that came to a path without a station."
)
@translated.option("--yes", is_flag=True, help="Add what is proposed without asking.")
def command(endpoint: str | None, example: BinaryIO | None, from_refused: bool, yes: bool) -> None:
    """Add a station to the file: its path is /ENDPOINT.

    Its measurements come from an example of its bodies: a file, or what the service has refused.
    Without either it asks for them. Nothing that stands in the file is changed.
    """
    path = settings.stations_path()
    stations = _present(path)
    config = settings.load(stations=stations)
    if example and from_refused:
        raise click.UsageError(_("--from-json and --from-refused do not go together"))
    if endpoint is not None:
        _check(endpoint := endpoint.removeprefix("/"), stations)
    if example:
        body: Mapping[str, object] | None = _object(example.read(BODY_MAX_BYTES + 1))
    else:
        endpoint, body = _refused(config, endpoint, needed=from_refused or yes)
    if endpoint is None:
        if yes or example:
            raise click.UsageError(_("its path is missing: flask10x stations add ENDPOINT"))
        endpoint = questions.endpoint().removeprefix("/")
        _check(endpoint, stations)
    if body is None:
        proposal = Proposal(questions.station(endpoint, stations), ())
    else:
        proposal = propose(endpoint, body, stations)
    if not proposal.station.measurements:
        raise click.ClickException(_("there is no number in the body"))
    _add(path, proposal, is_asked=not yes, is_input_taken=example is sys.stdin.buffer)
    for line in station_changes.add_columns(settings.load(stations=station_file.load(path))):
        click.echo(line)
    _say_what_is_next(config, endpoint, body)


def _present(path: Path) -> Stations:
    try:
        return station_file.load(path)
    except FileNotFoundError:
        return BUILT_IN


def _refused(
    config: Settings, endpoint: str | None, *, needed: bool
) -> tuple[str | None, Mapping[str, object] | None]:
    """The path and the body that the service has refused; only what was given when there is none.

    Without a path only if it is needed.
    """
    kept = _newest(config, endpoint) if endpoint or needed else None
    if kept is not None:
        return kept.endpoint, _object(kept.body)
    if needed:
        raise click.ClickException(_("no body is kept that came to a path without a station"))
    if endpoint:
        # A worker stores what it keeps every 5 s.
        text = _(
            "{path} has no body that came to /{endpoint}, so its fields are asked; one that came"
            " just now is there after 5 s"
        )
        click.echo(text.format(endpoint=endpoint, path=shown_name(config)), err=True)
    return endpoint, None


def _newest(config: Settings, endpoint: str | None) -> Kept | None:
    if not engines.of(config).may_be_there():
        return None
    try:
        with engines.of(config).reader() as engine, engine.connect() as connection:
            schema.require_newest(config, connection)
            if endpoint:
                return rejected.latest(connection, endpoint)
            return latest_refused.newest(connection, config.stations.by_endpoint)
    except DBAPIError as error:
        reason = _("the database cannot be used: {reason}").format(reason=reason_of(error))
        raise click.ClickException(reason) from error


def _object(raw: bytes) -> Mapping[str, object]:
    """The body; of an item of a batch what the board measured."""
    try:
        body = decode(raw)
    except InvalidBody as error:
        reason = _("the example: {reason}").format(reason=in_language(error.hint, chosen()))
        raise click.ClickException(reason) from None
    inside = body.get("data")
    return inside if isinstance(inside, dict) and {"measured_at", "age_s"} & body.keys() else body


def _check(endpoint: str, stations: Stations) -> None:
    """Raises click.BadParameter for a path that no new station can have."""
    if not ENDPOINT.fullmatch(endpoint):
        reason = endpoint_wanted()
    elif endpoint in RESERVED_ENDPOINTS:
        reason = _("the service answers /{name} itself").format(name=endpoint)
    elif endpoint in stations.by_endpoint:
        text = _("there is a station {name} already; its entry can be changed in the file")
        reason = text.format(name=endpoint)
    else:
        return
    raise click.BadParameter(reason, param_hint="ENDPOINT")


def _add(path: Path, proposal: Proposal, *, is_asked: bool, is_input_taken: bool) -> None:
    """Show the entry and put it into the file, if that is wanted."""
    written, former = station_changes.with_station(path, proposal.station)
    click.echo(station_text.entry(proposal.station))
    for name, reason in proposal.left_out:
        text = _("left out: {name}: {reason}").format(name=escape(name), reason=reason)
        click.echo(text, err=True)
    if is_asked and is_input_taken:
        raise click.ClickException(_("nothing was added; to add this, give --yes too"))
    if is_asked and not click.confirm(_("Add it to {path}?").format(path=path), default=True):
        raise click.ClickException(_("nothing was added"))
    station_changes.replace_file(path, written, former)
    click.echo(_("{path}: added").format(path=path))


def _say_what_is_next(config: Settings, endpoint: str, body: Mapping[str, object] | None) -> None:
    text = _("The service takes it over by a restart, or by: {command}")
    click.echo(text.format(command="sudo systemctl reload flask10x"))
    written = json.dumps(body, ensure_ascii=False) if body is not None else ""
    if not body or len(written) > SHOWN_BODY_CHARS:
        return
    host, _colon, port = config.bind.rpartition(":")
    if host == "unix":
        return
    click.echo(_("Then it can be tried; this stores nothing:"))
    url = f"http://localhost:{port}/{endpoint}?dry_run=1"
    click.echo(f"  {shlex.join((*CURL, escape(written), url))}")
