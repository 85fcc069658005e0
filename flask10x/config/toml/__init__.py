"""What the TOML files of people have in common: where a thing stands, and what is said of it."""
