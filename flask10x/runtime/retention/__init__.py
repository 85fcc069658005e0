"""Removing old readings, for who wants that."""
