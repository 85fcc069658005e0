"""The house in a backup: a table with its files, beside the tables of the readings.

What restores a backup reads it from there, and leaves the table behind. The readings of a backup
that a browser has sent are made a new database; the house is then in a file beside that.
"""

from gettext import gettext as _
from pathlib import Path

from sqlalchemy import (
    Column,
    Connection,
    LargeBinary,
    MetaData,
    Table,
    Text,
    func,
    insert,
    inspect,
    select,
)
from sqlalchemy.exc import DBAPIError

from flask10x.config.house import PARTS, SECRETS, House
from flask10x.database.error_codes import reason_of
from flask10x.database.sqlite.file import open_alone, open_read_only
from flask10x.errors import CopyError
from flask10x.system import disk

TABLE = Table(
    "house_files",
    MetaData(),
    # `stations.toml`, or `channels/phone-1f2e3d4c` of a secret.
    Column("name", Text, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)
SUFFIX = ".house"
# More than any such file has; a file that was sent may hold anything.
CONTENT_MAX_BYTES, FILES_MAX = 1_000_000, 100


def put(house: House, copy: Path) -> None:
    """Write the house into a copy of a database; replace the house that the copy has.

    Raises sqlalchemy.exc.DBAPIError.
    """
    with open_alone(copy).begin() as connection:
        put_by(connection, house)


def put_by(connection: Connection, house: House) -> None:
    """As `put`, by a connection to the copy."""
    rows = {PARTS[part]: data for part, data in house.files.items()}
    rows |= {f"{SECRETS}/{name}": data for name, data in house.secrets.items()}
    TABLE.drop(connection, checkfirst=True)
    if rows:
        TABLE.create(connection)
        values = [{"name": name, "content": data} for name, data in rows.items()]
        connection.execute(insert(TABLE), values)


def put_beside(copy: Path) -> None:
    """Write the house that a copy has into a file beside it; raises what reading and `put` do."""
    house, path = house_in(copy), copy.with_name(copy.name + SUFFIX)
    path.unlink(missing_ok=True)
    if house.files:
        disk.make_private(path)
        put(house, path)


def house_in(copy: Path) -> House:
    """Return the house in a backup, or beside it; a house without files for an older backup.

    Raises CopyError when it can't be read.
    """
    beside = copy.with_name(copy.name + SUFFIX)
    path = beside if beside.is_file() else copy
    names = {name: part for part, name in PARTS.items()}
    house = House()
    try:
        with open_read_only(path, immutable=True).connect() as connection:
            # Not a view: it may take for ever.
            if TABLE.name not in inspect(connection).get_table_names():
                return house
            is_small = func.length(TABLE.c.content) <= CONTENT_MAX_BYTES
            query = select(TABLE.c.name, TABLE.c.content).where(is_small)
            for name, content in connection.execute(query.limit(FILES_MAX)):
                folder, _slash, last = str(name).rpartition("/")
                if not isinstance(content, bytes):
                    continue
                if name in names:
                    house.files[names[name]] = content
                elif folder == SECRETS:
                    house.secrets[last] = content
    except DBAPIError as error:
        text = _("{path} cannot be read: {reason}").format(path=path, reason=reason_of(error))
        raise CopyError(text) from None
    return house
