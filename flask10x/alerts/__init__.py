"""Alerts that are active, alerts that have ended, and their messages, in a file of their own."""
