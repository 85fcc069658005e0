"""The one SQLite file: engine, tables, schema, damage, owner."""
