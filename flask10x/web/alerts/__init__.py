"""The page `/alerts`, the same as JSON, and the marks of alerts on the other pages."""
