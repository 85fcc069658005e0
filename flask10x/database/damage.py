"""Damage: the database file is broken or gone, so nothing is written to it any more.

What is left of the file and its WAL may be the only copy, and it is the evidence of what happened.
So there is no commit, no checkpoint, no new database; people decide, and start the service again.
A file that is gone is damage at once, and reported by the file watch. What a statement meets is
suspected first, for a disk that fails for a moment looks the same to SQLite; the inspection looks
again, and reports it or lets the writing go on.
"""

import logging

from flask10x.errors import DatabaseDamaged, DatabaseSuspected
from flask10x.system.gauges import Gauges

log = logging.getLogger(__name__)

WAY_OUT = "; what was stored is copied to {0}: stop the service, run flask10x restore on it, start"
STAY = "; do not stop the service before what was stored is copied"


class Damage:
    """Whether the database is damaged: known to every worker as soon as one has met it."""

    def __init__(self, gauges: Gauges | None = None) -> None:
        """Without gauges only this object knows of it, and there is no further inspection."""
        self._gauges = gauges
        self._reason = ""

    @property
    def is_damaged(self) -> bool:
        """Whether the database is damaged; asked for each reading."""
        return bool(self._reason) or (self._gauges is not None and self._gauges.is_damaged())

    @property
    def reason(self) -> str:
        """How it showed, and the way out if there is one; empty while nothing is known."""
        if self._gauges is None:
            return self._reason
        if copied := self._gauges.rescued:
            return f"{self._gauges.damage}{WAY_OUT.format(copied)}"
        return f"{self._gauges.damage}{STAY if self._gauges.taken_away else ''}"

    @property
    def suspicion(self) -> str:
        """What a statement met and no inspection has looked at yet; empty if there is nothing."""
        return self._gauges.suspicion if self._gauges is not None else ""

    @property
    def obstacle(self) -> str:
        """Why nothing may be written now, as `/readyz` says it; empty while it may."""
        if self.is_damaged:
            return f"the database is damaged: {self.reason}"
        if suspicion := self.suspicion:
            return f"the database is looked at, nothing is written meanwhile: {suspicion}"
        return ""

    @property
    def halted(self) -> bool:
        """Whether nothing may be written now, to a damaged or a suspected database."""
        return self.is_damaged or (self._gauges is not None and self._gauges.is_suspected())

    def check(self) -> None:
        """Raises DatabaseDamaged or DatabaseSuspected when nothing may be written now."""
        self.check_damaged()
        if self.halted:
            raise DatabaseSuspected(self.suspicion)

    def check_damaged(self) -> None:
        """Raises DatabaseDamaged when the database is damaged; a suspicion is no reason."""
        if self.is_damaged:
            raise DatabaseDamaged(self.reason)

    def report(self, reason: str) -> None:
        """Stop all writing for as long as the service runs; the first reason stays."""
        if self.is_damaged:
            return
        if self._gauges is None:
            self._reason = reason
        else:
            self._gauges.damage = reason
            self._gauges.suspicion = ""
        log.critical("The database is damaged, nothing is written to it any more: %s", reason)

    def suspect(self, reason: str) -> None:
        """Stop all writing until the database has been looked at; without gauges, for good."""
        if self._gauges is None:
            self.report(reason)
        elif not self.halted:
            self._gauges.suspicion = reason
            log.warning(
                "The database may be damaged, nothing is written until it was looked at: %s", reason
            )

    def clear(self, suspicion: str, finding: str) -> None:
        """Let the writing go on after this suspicion; `finding` is what the look has shown.

        Another suspicion stays: it may have come up behind the look.
        """
        if self._gauges is not None and suspicion and suspicion == self.suspicion:
            self._gauges.suspicion = ""
            log.info("Readings are stored again, no damage was found: %s", finding)
