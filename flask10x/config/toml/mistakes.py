"""A mistake in a TOML file: where it is, and what."""

from collections.abc import Mapping
from dataclasses import dataclass

from flask10x.config.toml.lines import Path

# Of a name that is far too long for one.
SHOWN_CHARS = 60
# Keys of a measurement that are lists of tables: an entry is a part of the key.
LISTS = frozenset({"faults", "bands"})


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong."""

    path: Path
    """The names from the outside in, the last one a key or a table."""
    reason: str
    is_table: bool = False
    """Whether it is about the table of this path, and not about a key in the one around it."""

    def line(self, lines: Mapping[Path, int]) -> int:
        """The line of the file; what is not there has that of the nearest table around it."""
        path = self.path
        while path and path not in lines:
            path = path[:-1]
        return lines.get(path, 1)

    @property
    def text(self) -> str:
        """`[stations.balcony] label: what is wrong`."""
        names = [shown(name) for name in self.path if isinstance(name, str)]
        is_part = not LISTS.isdisjoint(names[4:-1])
        inside = 0 if self.is_table else 2 if is_part else 1
        table, key = ".".join(names[: len(names) - inside]), ".".join(names[len(names) - inside :])
        return " ".join(filter(None, (table and f"[{table}]", key and f"{key}:", self.reason)))


def shown(name: str) -> str:
    """What stands in the file, short, on one line and without characters for a terminal."""
    short = name if len(name) <= SHOWN_CHARS else name[:SHOWN_CHARS] + "…"
    return short if short.isprintable() else repr(short)
