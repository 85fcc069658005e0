"""What `flask10x check` looks at where the readings are in PostgreSQL, in the place of a file."""

from collections.abc import Iterator
from gettext import gettext as _

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database import engines
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import shown_name
from flask10x.database.server import Primary, Server
from flask10x.maintenance.check_database import DatabaseCheck
from flask10x.maintenance.findings import Finding
from flask10x.system.wording import megabytes


def look_at_server(server: Server, settings: Settings, inside: DatabaseCheck) -> Iterator[Finding]:
    """The server, and what its database shows; a server that does not answer is a finding."""
    name = shown_name(settings)
    try:
        with engines.of(settings).reader() as engine, engine.begin() as connection:
            primary = server.primary(connection)
            size = primary.database_bytes
            text = _("{database}, {size}").format(database=name, size=megabytes(size))
            yield Finding("ok", "database", text, {"bytes": size})
            yield _version(server, connection)
            yield _encoding(server, connection)
            yield _standbys(primary)
            yield from inside.look_inside(connection)
    except DBAPIError as error:
        text = _("{path} cannot be opened: {reason}")
        reason = " ".join(reason_of(error).split())
        yield Finding("FAIL", "database", text.format(path=name, reason=reason))


def _version(server: Server, connection: Connection) -> Finding:
    shown, number = server.version(connection)
    first, last = server.VERSIONS
    details = {"version": shown}
    if first <= number <= last:
        return Finding("ok", "PostgreSQL", shown, details)
    text = _("{version}: this program was made for {first} to {last}")
    return Finding(
        "WARN", "PostgreSQL", text.format(version=shown, first=first, last=last), details
    )


def _encoding(server: Server, connection: Connection) -> Finding:
    found = server.encoding(connection)
    details = {"encoding": found}
    if found == server.ENCODING:
        return Finding("ok", "encoding", found, details)
    text = _("{encoding}: make a new database with {wanted}, and copy: flask10x copy")
    return Finding("FAIL", "encoding", text.format(encoding=found, wanted=server.ENCODING), details)


def _standbys(primary: Primary) -> Finding:
    details = {"synchronous": primary.synchronous, "asked_for": primary.waits_for > 0}
    if not primary.waits_for:
        text = _("none is asked for: what is stored may be on one machine only")
        return Finding("WARN", "standby", text, details)
    if primary.synchronous:
        text = _("{n} with each commit").format(n=primary.synchronous)
        return Finding("ok", "standby", text, details)
    if primary.hidden:
        text = _("this user may not see whether one is there: GRANT pg_monitor TO it")
        return Finding("WARN", "standby", text, details)
    text = _("none is there: commits wait for one")
    return Finding("WARN", "standby", text, details)
