"""What becomes of one flipped bit in a key of the roll-ups: `python -m tests.faults.rot`.

Each trial flips a bit of its own seed in the tree of `rollups`, of a house whose copies are sound
otherwise, and lets a backup be made and `flask10x verify --repair` run. Counted is what must not
be: a tree that is out of order under green lights, a backup that can't be made, sums that were
right and are not any more.
"""

import argparse
import json
import random
import sqlite3
import sys
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path

from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.errors import Flask10xError
from flask10x.maintenance.backup import backup
from tests.support.copies import House, furnish
from tests.support.rot import flip, stored_values
from tests.support.rows import select

TRIALS = 40
SUMS = "SELECT endpoint, measurement, hour, readings, count, total, minimum, maximum FROM rollups"


def trial(house: House, seed: str) -> Counter[str]:
    """Flip one bit, repair, and count what is wrong afterwards."""
    counted: Counter[str] = Counter(trials=1)
    before = {row[:3]: row[3:] for row in select(house.file, SUMS)}
    chance = random.Random(seed)
    place = chance.choice(stored_values(house.file, "rollups", of_keys=True))
    flip(house.file, place.offset + chance.randrange(place.length), chance.randrange(8))
    counted["no backup before the repair"] += not makes_backup(house)
    counted["found"] += bool(house.verify().differences)
    result = house.verify(repair=True)
    is_sound = select(house.file, "PRAGMA integrity_check") == [("ok",)]
    with closing(sqlite3.connect(house.file)) as connection:
        connection.text_factory = bytes
        after = {
            (*(key.decode(errors="replace") for key in row[:2]), row[2]): row[3:]
            for row in connection.execute(SUMS)
        }
    counted["open after the repair"] += bool(result.open)
    counted["out of order under green lights"] += not (is_sound or result.open)
    counted["no backup after the repair"] += not makes_backup(house)
    counted["right sums replaced"] += any(after.get(key, row) != row for key, row in before.items())
    counted["not as before"] += after != before
    return counted


def makes_backup(house: House) -> bool:
    """Whether a backup can be made, into a folder that nothing compares."""
    folder = house.settings.data_dir / "tried"
    try:
        backup(house.settings, folder)
    except Flask10xError:
        return False
    return True


def trials(folder: Path, number: int) -> Counter[str]:
    """Make a house in the folder, and return what all trials have counted."""
    house = House(settings_of(folder / "data"), folder / "pristine")
    furnish(settings_of(house.pristine))
    counted: Counter[str] = Counter()
    for seed in range(number):
        house.renew()
        counted.update(trial(house, f"keys {seed}"))
    return counted


def settings_of(folder: Path) -> Settings:
    folder.mkdir()
    environment = {"FLASK10X_DATA_DIR": str(folder), "FLASK10X_TIMEZONE": "Asia/Tokyo"}
    return settings_module.load(environment)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=TRIALS)
    with tempfile.TemporaryDirectory() as folder:
        counted = trials(Path(folder), parser.parse_args().trials)
    sys.stdout.write(json.dumps(counted, indent=2) + "\n")


if __name__ == "__main__":
    main()
