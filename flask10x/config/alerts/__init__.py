"""`alerts.toml`: what people want to be notified of, and by which channels."""
