"""Damage: the database file is broken or gone, so nobody writes to it any more.

What is left of the file and its WAL may be the only copy, and it is the evidence of what happened.
So there is no commit, no checkpoint, no new database; people decide, and start the service again.
What a statement meets is reported by the engine, a file that is gone by the file watch, the rest by
the inspection.
"""

import logging

from flask10x.system.gauges import Gauges

log = logging.getLogger(__name__)


class Damage:
    """Whether the database is damaged: known to every worker as soon as one has met it."""

    def __init__(self, gauges: Gauges | None = None) -> None:
        """Without gauges it is known to this object only."""
        self._gauges = gauges
        self._own = ""

    @property
    def known(self) -> bool:
        """Whether any worker has met it; asked for each reading."""
        return bool(self._own) or (self._gauges is not None and self._gauges.is_damaged())

    @property
    def reason(self) -> str:
        """How it showed, for people; empty while nothing is known."""
        return self._own or (self._gauges.damage if self._gauges is not None else "")

    def report(self, reason: str) -> None:
        """Stop all writing for as long as the service runs; the first reason stays."""
        if self.known:
            return
        if self._gauges is None:
            self._own = reason
        else:
            self._gauges.damage = reason
        log.critical("The database is damaged, nothing is written to it any more: %s", reason)
