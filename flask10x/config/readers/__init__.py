"""What a setting may be: each module reads values of one kind, from the environment or TOML."""
