"""`alerts.toml`: what people want to be told of, and by which ways."""
