"""Findings of `flask10x check`: a level, what was looked at, what was seen."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["ok", "WARN", "FAIL"]
LEVELS: tuple[Level, ...] = ("ok", "WARN", "FAIL")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: `FAIL` is wrong now, `WARN` worth a look. `details` are for programs."""

    level: Level
    name: str
    text: str
    details: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.level:<4} {self.name}: {self.text}"


def worst(findings: Sequence[Finding]) -> Level:
    """The highest level among the findings."""
    return max((finding.level for finding in findings), key=LEVELS.index, default="ok")
