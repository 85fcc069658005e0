"""Months and years of the local calendar: what they hold, and what was the most of all."""
