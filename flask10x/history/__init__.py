"""The way back: query, pages, charts, roll-ups."""
