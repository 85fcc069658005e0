"""The tables of a TOML file as values, and every mistake in them."""

from collections.abc import Iterable, Mapping
from gettext import gettext as _
from typing import Any

from flask10x.config.toml.keys import Key
from flask10x.config.toml.lines import Path
from flask10x.config.toml.mistakes import Mistake
from flask10x.config.toml.values import WrongEntry, nearly, table


class Tables:
    """Reads tables and gathers what is wrong with them in `mistakes`."""

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []

    def wrong(self, path: Path, reason: str, is_table: bool = False) -> None:
        """Note a mistake; what `is_table` says: `Mistake`."""
        self.mistakes.append(Mistake(path, reason, is_table))

    def unknown(self, path: Path, known: Iterable[str]) -> None:
        """Note that there is no key of this name, and which known one is near."""
        self.wrong(path, nearly(_("unknown key"), str(path[-1]), [*known]))

    def table(self, path: Path, raw: Any) -> dict[str, Any] | None:
        """A copy of a table; None for anything else, which is noted."""
        try:
            return {**table(raw)}
        except WrongEntry as error:
            self.wrong(path, str(error))
            return None

    def fields(
        self,
        path: Path,
        given: Mapping[str, Any],
        keys: Iterable[Key],
        *,
        others: Iterable[str] = (),
        is_new: bool = True,
    ) -> dict[str, Any]:
        """The fields that the keys of a table give; with the defaults if the table makes a new one.

        `others` are keys that may be meant and are read elsewhere.
        """
        by_name = {key.name: key for key in keys}
        found: dict[str, Any] = {}
        for name, raw in given.items():
            if name not in by_name:
                self.unknown((*path, name), [*by_name, *others])
                continue
            try:
                found[by_name[name].field] = by_name[name].read(raw)
            except WrongEntry as error:
                self.wrong((*path, name), str(error))
        for key in by_name.values() if is_new else ():
            if key.name in given:
                continue
            if key.needed:
                self.wrong((*path, key.name), key.missing() if key.missing else _("is missing"))
            elif key.default:
                found[key.field] = key.default(str(path[-1]))
        return found
