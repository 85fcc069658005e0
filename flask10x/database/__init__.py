"""The database: transactions, tables, schema, damage; its two engines behind one object."""
