"""Names that no station and no measurement of `stations.toml` may have."""

# What else the service answers under one word, now or soon; a test compares them with the routes.
# And what writers to InfluxDB ask before they write: that is no board whose station is missing.
RESERVED_ENDPOINTS = frozenset(
    {
        *(
            "alerts",
            "api",
            "devices",
            "healthz",
            "history",
            "metrics",
            "notes",
            "openapi",
            "readyz",
        ),
        *("ping", "query", "records", "setup", "static", "status", "uptime", "write"),
    }
)
# Columns that tables and downloads have for themselves, and SQLite's own names of a row's number.
# Tests compare them with `database/tables.py` and with a download.
RESERVED_COLUMNS = frozenset(
    {
        *("after_day", "after_endpoint", "after_id", "arrived_at", "at", "begin_bytes", "body"),
        *("changed_ns", "checksum", "codes", "columns", "count", "day", "digest", "end_bytes"),
        *("endpoint", "file", "first_id", "first_ms", "floor_bytes", "floor_checksum", "floor_id"),
        *("from_id", "gain", "generation", "hint", "hour", "id"),
        *("import_id", "imported_at", "inode", "kind", "last_id", "last_ms", "last_received_at"),
        *("last_time", "length", "maximum", "measured_at", "measurement", "media_type", "minimum"),
        *("name", "offset", "oid", "path", "reading_id", "readings", "reason", "reasons"),
        *("received_at", "rowid", "sha256", "size_bytes", "start_offset", "text", "time"),
        *("timestamp", "to_id", "total", "undone_at", "value", "written_at", "zone"),
    }
)
