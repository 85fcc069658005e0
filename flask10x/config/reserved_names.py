"""Names that no station and no measurement of `stations.toml` may have."""

# What else the service answers under one word, now or soon; a test compares them with the routes.
# And what writers to InfluxDB ask before they write: that is no board whose station is missing.
RESERVED_ENDPOINTS = frozenset(
    {
        *("alerts", "api", "devices", "healthz", "history", "metrics", "openapi", "readyz"),
        *("ping", "query", "static", "status", "write"),
    }
)
# Columns that tables and downloads have for themselves, and SQLite's own names of a row's number.
# Tests compare them with `database/tables.py` and with a download.
RESERVED_COLUMNS = frozenset(
    {
        *("after_id", "arrived_at", "at", "begin_bytes", "body", "changed_ns", "checksum"),
        *("codes", "count", "digest", "end_bytes", "endpoint", "file", "first_id", "from_id"),
        *("generation", "hint", "hour", "id", "import_id", "imported_at", "inode", "last_id"),
        *("last_received_at", "last_time", "length", "maximum", "measured_at", "measurement"),
        *(
            "media_type",
            "minimum",
            "name",
            "oid",
            "reading_id",
            "readings",
            "reasons",
            "received_at",
            "rowid",
        ),
        *("sha256", "size_bytes", "start_offset", "time", "timestamp", "to_id", "total", "value"),
        "zone",
    }
)
