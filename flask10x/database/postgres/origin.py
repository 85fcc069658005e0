"""Of which history of a database something is: after a failover it may be another one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """As PostgreSQL tells it."""

    system_identifier: str
    """Of the cluster: one that was made anew, from a dump, has another one."""
    timeline: int
    """It counts the promotions of standbys."""

    def __str__(self) -> str:
        return f"{self.system_identifier}/{self.timeline}"
