"""Old CSV files in."""
