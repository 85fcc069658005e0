"""One module for each command of `flask10x`; each has `command`."""
