"""Towns by which people find the place of their house, without asking another host.

Those of Japan (`towns.csv`) are the seats of the prefectures and other large cities, each with the
height above sea level of its weather station or town hall, which is only a beginning: a house may
be on a hill. Those of the rest of the world are astral's. `towns_corrected.csv` has old names of
zones in its list, which a system may lack (Debian has them in tzdata-legacy), and its places that
are on another side of the earth than their town.
"""

import csv
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flask10x.errors import nearest

MOST = 8
"""How many towns an answer has at most."""


@dataclass(frozen=True, slots=True)
class Town:
    """A town, and what it says of a house in it."""

    name: str
    name_ja: str
    """Empty: it is not known."""
    country: str
    """Empty: Japan."""
    zone: str
    place: str
    """`35.69,139.75`, as the setting PLACE is written."""
    altitude_m: int | None
    """About how high it is; None: unknown."""

    @property
    def key(self) -> str:
        """What it is called in an address."""
        return ", ".join(filter(None, (self.name, self.country)))


@cache
def towns() -> tuple[Town, ...]:
    """Return all of them, those of Japan first."""
    # Only a search needs it.
    from astral.geocoder import all_locations, database  # noqa: PLC0415

    found = [
        Town(
            *(row["name"], row["name_ja"], "", "Asia/Tokyo"),
            f"{row['latitude']},{row['longitude']}",
            int(row["altitude_m"]),
        )
        for row in _rows("towns.csv")
    ]
    japanese = {town.name for town in found}
    corrected = {row["astral"]: row["corrected"] for row in _rows("towns_corrected.csv")}
    for one in all_locations(database()):
        if one.timezone != "Asia/Tokyo" or one.name not in japanese:
            place = f"{one.latitude:.2f},{one.longitude:.2f}"
            place = corrected.get(f"{one.name}, {one.region}", place)
            zone = corrected.get(one.timezone, one.timezone)
            found.append(Town(one.name, "", one.region, zone, place, None))
    return tuple(found)


def _rows(name: str) -> list[dict[str, str]]:
    with Path(__file__).with_name(name).open(encoding="utf-8", newline="") as file:
        return [*csv.DictReader(file)]


def search(text: str) -> tuple[list[Town], str]:
    """Return the towns whose name begins like the text or has it in it, and the nearest name.

    That is empty where a town was found, and where none is near.
    """
    wanted = _plain(text)
    if not wanted:
        return [], ""
    ranked = [(rank, town) for town in towns() if (rank := _rank(town, wanted)) is not None]
    if ranked:
        return [town for _rank_of, town in sorted(ranked, key=lambda pair: pair[0])][:MOST], ""
    names = {_plain(town.name): town.name for town in towns()}
    return [], names.get(nearest(wanted, names) or "", "")


def town_of(key: str) -> Town | None:
    """Return the town of this `key`."""
    return next((town for town in towns() if town.key == key), None)


def _rank(town: Town, wanted: str) -> int | None:
    """0 for a name that is the text, 1 for one that begins like it, 2 for any other with it."""
    names = [_plain(name) for name in (town.name, town.name_ja, town.country) if name]
    # People write 札幌市.
    names += [f"{names[1]}{end}" for end in "市都府" if town.name_ja]
    if wanted in names:
        return 0
    if any(name.startswith(wanted) for name in names):
        return 1
    return 2 if any(wanted in name for name in names) else None


def _plain(text: str) -> str:
    """The text in small letters without accents, in usual width."""
    letters = unicodedata.normalize("NFKD", text.strip().casefold())
    bare = "".join(letter for letter in letters if not "\u0300" <= letter <= "\u036f")
    return unicodedata.normalize("NFKC", bare)
