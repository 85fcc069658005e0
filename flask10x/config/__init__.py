"""Settings and secrets of this installation."""
