"""A CSV file is one row of one table: what an export had in five tables.

`exports` with its rows in `export_intents`, `export_floors` and `export_origins`, and
`archived_files` become `csv_files`. A floor of another file of its name was of no use and goes. An
intent without a file is that of a rebuild that was interrupted before it has made the first one.

Revision: 0021, after 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
POSITION = ("name", "endpoint", "path", "columns", "zone", "first_id", "last_id", "import_id")
MARK = ("begin_bytes", "size_bytes", "checksum", "inode", "changed_ns")
INTENT = ("from_id", "to_id", "start_offset", "length", "sha256", "import_id")
FLOOR = ("floor_last_id", "floor_size_bytes", "floor_checksum")
SHARED = ("system_identifier", "timeline")


def upgrade() -> None:
    op.create_table(
        "csv_files",
        sa.Column("id", WHOLE, primary_key=True, autoincrement=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("name", "kind")),
        *(sa.Column(name, TEXT) for name in ("endpoint", "path", "columns", "zone")),
        *(sa.Column(name, WHOLE, nullable=False) for name in ("first_id", "last_id", "import_id")),
        *(sa.Column(name, WHOLE, nullable=False) for name in MARK),
        sa.Column("last_received_at", WHOLE),
        sa.Column("last_time", TEXT),
        *(sa.Column(f"floor_{name}", WHOLE) for name in ("last_id", "size_bytes", "checksum")),
        *(sa.Column(f"intent_{name}", WHOLE) for name in INTENT[:4]),
        sa.Column("intent_sha256", TEXT),
        sa.Column("intent_import_id", WHOLE),
        sa.Column("system_identifier", TEXT),
        sa.Column("timeline", WHOLE),
        sqlite_strict=True,
    )
    of_mark = ", ".join(f"coalesce(e.{name}, 0)" for name in MARK)
    _insert(
        (*POSITION, *MARK, "last_received_at", "last_time", *FLOOR, *_intent(), *_shared()),
        f"SELECT 'current' AS kind, {_of('e', POSITION)}, {of_mark}, e.last_received_at,"
        f" e.last_time, f.last_id, f.size_bytes, f.checksum, {_of('i', INTENT)}{_of_origin()}"
        " FROM exports e LEFT JOIN export_intents i ON i.name = e.name"
        " LEFT JOIN export_floors f ON f.name = e.name AND f.first_id = e.first_id"
        f"{_join_origins('e')} ORDER BY e.name",
    )
    _insert(
        ("name", "first_id", "last_id", "import_id", *MARK, *_intent(), *_shared()),
        f"SELECT 'new' AS kind, i.name, 0, 0, 0, 0, 0, 0, 0, 0, {_of('i', INTENT)}{_of_origin()}"
        f" FROM export_intents i{_join_origins('i')}"
        " WHERE i.name NOT IN (SELECT name FROM exports) ORDER BY i.name",
    )
    _insert(
        (*POSITION, *MARK, "last_received_at", *FLOOR),
        f"SELECT 'archived' AS kind, {_of('a', (*POSITION, *MARK))}, a.last_received_at,"
        " a.floor_id, a.floor_bytes, a.floor_checksum"
        " FROM archived_files a ORDER BY a.endpoint, a.last_id, a.size_bytes, a.checksum",
    )
    for name in ("export_intents", "export_floors", "exports", "archived_files"):
        op.drop_table(name)
    if _is_shared():
        op.drop_table("export_origins")


def _insert(names: tuple[str, ...], query: str) -> None:
    """Put rows behind those that are there; the kind is the first column of the query."""
    columns = ", ".join(("id", "kind", *names))
    op.execute(
        f"INSERT INTO csv_files ({columns}) SELECT (SELECT count(*) FROM csv_files)"
        f" + row_number() OVER (), q.* FROM ({query}) q"
    )


def _of(table: str, names: tuple[str, ...]) -> str:
    return ", ".join(f"{table}.{name}" for name in names)


def _intent() -> list[str]:
    return [f"intent_{name}" for name in INTENT]


def _is_shared() -> bool:
    return op.get_context().dialect.name == "postgresql"


def _shared() -> tuple[str, ...]:
    return SHARED if _is_shared() else ()


def _of_origin() -> str:
    return f", {_of('o', SHARED)}" if _is_shared() else ""


def _join_origins(of: str) -> str:
    return f" LEFT JOIN export_origins o ON o.name = {of}.name" if _is_shared() else ""


def downgrade() -> None:
    op.create_table(
        "exports",
        sa.Column("name", TEXT, primary_key=True),
        *(sa.Column(name, WHOLE, nullable=False) for name in ("first_id", "last_id", "import_id")),
        *(sa.Column(name, WHOLE) for name in MARK),
        sa.Column("zone", TEXT),
        sa.Column("last_received_at", WHOLE),
        *(sa.Column(name, TEXT) for name in ("last_time", "endpoint", "path", "columns")),
        sqlite_strict=True,
    )
    op.create_table(
        "export_intents",
        sa.Column("name", TEXT, primary_key=True),
        *(sa.Column(name, WHOLE, nullable=False) for name in INTENT[:4]),
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("import_id", WHOLE),
        sqlite_strict=True,
    )
    floor = ("first_id", "last_id", "size_bytes", "checksum")
    op.create_table(
        "export_floors",
        sa.Column("name", TEXT, primary_key=True),
        *(sa.Column(name, WHOLE, nullable=False) for name in floor),
        sqlite_strict=True,
    )
    op.create_table(
        "archived_files",
        sa.Column("endpoint", TEXT, primary_key=True),
        *(
            sa.Column(name, WHOLE, primary_key=True, autoincrement=False)
            for name in ("size_bytes", "checksum")
        ),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("path", TEXT),
        *(sa.Column(name, WHOLE, nullable=False) for name in ("first_id", "last_id", "import_id")),
        *(
            sa.Column(name, WHOLE, nullable=False)
            for name in ("begin_bytes", "inode", "changed_ns")
        ),
        *(sa.Column(name, TEXT) for name in ("zone", "columns")),
        *(sa.Column(name, WHOLE) for name in ("floor_id", "floor_bytes", "floor_checksum")),
        sa.Column("last_received_at", WHOLE),
        sqlite_strict=True,
    )
    names: tuple[str, ...] = (*POSITION, *MARK, "last_received_at", "last_time")
    _back("exports", names, names, "kind = 'current'")
    _back("export_intents", ("name", *INTENT), ("name", *_intent()), "intent_to_id IS NOT NULL")
    is_floor = "kind = 'current' AND floor_last_id IS NOT NULL"
    _back("export_floors", ("name", *floor), ("name", "first_id", *FLOOR), is_floor)
    names = (*POSITION, *MARK, "last_received_at")
    old_floor = ("floor_id", "floor_bytes", "floor_checksum")
    _back("archived_files", (*names, *old_floor), (*names, *FLOOR), "kind = 'archived'")
    if _is_shared():
        op.create_table(
            "export_origins",
            sa.Column("name", TEXT, primary_key=True),
            sa.Column("system_identifier", TEXT, nullable=False),
            sa.Column("timeline", WHOLE, nullable=False),
        )
        names = ("name", *SHARED)
        _back("export_origins", names, names, "timeline IS NOT NULL")
    op.drop_table("csv_files")


def _back(table: str, names: tuple[str, ...], of_file: tuple[str, ...], where: str) -> None:
    op.execute(
        f"INSERT INTO {table} ({', '.join(names)})"
        f" SELECT {', '.join(of_file)} FROM csv_files WHERE {where}"
    )
