"""With what the figures of a table were taken."""

from collections.abc import Sequence
from typing import Any

TAKEN = (
    "Taken on {on} at commit {commit} with {versions} ({machine}).",
    "測定: {on}、コミット {commit}、{versions}（{machine}）。",
)


def taken(runs: Sequence[dict[str, Any]], language: int) -> str:
    """A sentence with each day, commit, version and machine of these runs."""
    names = ("on", "commit", "versions", "machine")
    found: dict[str, str] = {
        name: ", ".join(dict.fromkeys(f"{run[name]}" for run in runs)) for name in names
    }
    return TAKEN[language].format(**found)
