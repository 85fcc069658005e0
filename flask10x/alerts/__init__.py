"""Alerts: what is wrong now, what was, and the messages of it, in a file of their own."""
