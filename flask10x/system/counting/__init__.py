"""Totals that all workers share and none of them takes along when it dies."""
