"""Backup, restore, check."""
