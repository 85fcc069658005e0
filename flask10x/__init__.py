"""Flask10X: an embedded, SQLite-backed telemetry store for sensors at home.

This file imports nothing, so that Alembic and the export command never load Flask.
"""

__version__ = "1.0.0"
