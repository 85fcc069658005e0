"""A chart beside that of another day, week or year, or of another station."""
