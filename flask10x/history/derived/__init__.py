"""Derived values of what is stored: of rows, of the newest readings, of charts."""
