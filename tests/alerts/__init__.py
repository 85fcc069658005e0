"""Alerts: their state, messages and texts."""
