"""Names that no station and no measurement of `stations.toml` may have."""

# The other paths of the service, which a test compares with the routes; and paths that writers to
# InfluxDB request before they write, which are no unknown stations.
RESERVED_ENDPOINTS = frozenset(
    {
        *("alerts", "api", "devices", "healthz", "history", "metrics", "notes", "openapi"),
        *("readyz", "records", "static", "status", "uptime", "write"),
        *("ping", "query", "setup"),
    }
)
# Columns of tables and downloads, and SQLite's names of the row number. Tests compare them with
# `database/tables.py` and with a download.
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
