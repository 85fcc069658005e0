"""The page `/alerts`, and the marks of alerts on the other pages."""
