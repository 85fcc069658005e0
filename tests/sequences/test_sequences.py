"""Random sequences of everything that happens in a house, each compared with a model of it.

A sequence follows from its seed. One that fails is made shorter and printed as a test to paste.
SEQUENCES_FROM is the first seed: another one tries other sequences.
"""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flask10x.runtime import removal
from tests.sequences.house import PIECE_ROWS, Step, replay
from tests.sequences.model import Broken

STEPS = 20
FIRST = int(os.environ.get("SEQUENCES_FROM", "0"))
SHORT, LONG = 8, 512
KILLED = ("export", "rebuild", "import", "backup")
# How long a failing sequence is made shorter.
SHRINK_SEC = 120.0
pytestmark = [
    pytest.mark.sqlite_only("backups and restores of it are among the steps"),
    pytest.mark.timeout(900),
]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "PIECE_ROWS", PIECE_ROWS)


def steps_of(seed: int) -> list[Step]:
    """Return the sequence of this seed."""
    chance = random.Random(seed)
    makers, weights = zip(*MAKERS, strict=True)
    steps: list[Step] = []
    while len(steps) < STEPS:
        (maker,) = chance.choices(makers, weights)
        steps += maker(chance)
    return steps[:STEPS]


def station(chance: random.Random) -> str:
    return chance.choice(["data", "data2", "own"])


def old(chance: random.Random) -> str:
    return chance.choice(["data", "data2"])


def part(chance: random.Random) -> float:
    return round(chance.uniform(0.2, 1.1), 3)


def post(chance: random.Random) -> Step:
    return ("post", station(chance), chance.randint(1, 5), chance.random() < 0.5)


def archived(chance: random.Random) -> list[Step]:
    """A file is archived, and what it has is removed: random steps seldom come to this."""
    of = station(chance)
    posts: list[Step] = [("post", of, 4, False), ("export",), ("post", of, 2, True)]
    ends: list[Step] = [("columns",)] if of == "own" else [("move_away", of, True)]
    ends += [("export",), ("remove", chance.randint(1, 3)), ("lose_archived",)]
    return [*posts, *ends]


# What makes steps, and how often it does.
Maker = Callable[[random.Random], list[Step]]
MAKERS: list[tuple[Maker, int]] = [
    (lambda c: [post(c)], 8),
    (lambda c: [post(c), ("export",)], 6),
    (lambda c: [("again", c.randint(1, 3))], 2),
    (lambda c: [("late", station(c), c.randint(1, 5), c.randint(1, 200), c.random() < 0.3)], 4),
    (lambda c: [("reject", c.randint(1, 3)), ("limit", c.random() < 0.8)], 2),
    (lambda c: [("limit", c.random() < 0.5)], 1),
    (lambda c: [("replay",)], 3),
    (lambda c: [("correct", station(c), c.choice(["adjust", "hide"]))], 1),
    (lambda c: [("export",)], 5),
    (lambda c: [("rebuild", station(c))], 2),
    (lambda c: [("move_away", station(c), c.random() < 0.8)], 2),
    (archived, 2),
    (lambda c: [("copy", station(c))], 3),
    (lambda c: [("import_old", old(c), c.randint(1, 6), c.random() < 0.5)], 3),
    (lambda c: [("import_longer", c.randrange(9), c.randint(1, 4))], 2),
    (lambda c: [("import_again", c.randrange(9))], 3),
    (lambda c: [("import_in_other_zone", c.randrange(9), c.choice(["UTC", "Asia/Kolkata"]))], 2),
    (lambda c: [("columns",)], 2),
    (lambda c: [("rename_station",)], 1),
    (lambda c: [("rename_file", c.random() < 0.6)], 1),
    (lambda c: [("remove", c.randint(1, 4))], 4),
    (lambda c: [("lose_archived",)], 2),
    (lambda c: [("backup",)], 4),
    (lambda c: [("restore", c.randrange(5), c.random() < 0.8)], 3),
    (lambda c: [("look",)], 2),
    (lambda c: [("prove",)], 1),
    (lambda c: [("kill_service", part(c), c.choice(["all", "all", "workers"]))], 1),
    (lambda c: [("kill_command", c.choice(KILLED), part(c), c.randrange(9))], 4),
]


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(seed, marks=pytest.mark.tools if seed < FIRST + SHORT else pytest.mark.long)
        for seed in range(FIRST, FIRST + SHORT + LONG)
    ],
)
def test_a_sequence_of_everything(tmp_path: Path, seed: int) -> None:
    steps = steps_of(seed)
    if broken := broken_by(tmp_path / "all", steps):
        shorter = shrunk(tmp_path, steps, broken)
        pytest.fail(f"{broken}\n\n{as_test(seed, shorter)}", pytrace=False)


def broken_by(folder: Path, steps: list[Step]) -> str:
    """Return what these steps break; empty if they break nothing."""
    try:
        replay(folder, steps)
    except Broken as error:
        return str(error)
    return ""


def shrunk(folder: Path, steps: list[Step], broken: str) -> list[Step]:
    """Return fewer of the steps that still break the same promise."""
    ends, promise = time.monotonic() + SHRINK_SEC, broken.partition(":")[0]
    place, tried = len(steps) - 1, 0
    while place >= 0 and time.monotonic() < ends:
        fewer = [*steps[:place], *steps[place + 1 :]]
        if broken_by(folder / f"try-{(tried := tried + 1)}", fewer).partition(":")[0] == promise:
            steps = fewer
        place -= 1
    return steps


def as_test(seed: int, steps: list[Step]) -> str:
    """Return a test to paste."""
    lines = "".join(f"        {step!r},\n" for step in steps)
    return (
        f"def test_sequence_{seed}(tmp_path: Path) -> None:\n"
        f"    steps: list[Step] = [\n{lines}    ]\n    replay(tmp_path, steps)\n"
    )


# Sequences that once failed, as they were printed.


@pytest.mark.tools
def test_a_copy_in_another_zone(tmp_path: Path) -> None:
    steps: list[Step] = [
        ("post", "data", 3, False),
        ("export",),
        ("copy", "data"),
        ("import_in_other_zone", 0, "UTC"),
    ]
    replay(tmp_path, steps)


@pytest.mark.tools
def test_a_copy_in_another_zone_of_which_half_was_removed(tmp_path: Path) -> None:
    steps: list[Step] = [
        ("post", "data", 2, True),
        ("export",),
        ("copy", "data"),
        ("remove", 1),
        ("import_in_other_zone", 0, "Asia/Kolkata"),
    ]
    replay(tmp_path, steps)


@pytest.mark.tools
@pytest.mark.parametrize("zone", ["Asia/Kolkata", ""])
def test_a_copy_of_a_station_that_was_renamed(tmp_path: Path, zone: str) -> None:
    steps: list[Step] = [
        ("post", "own", 2, False),
        ("rename_station",),
        ("copy", "own"),
        ("import_in_other_zone", 0, zone) if zone else ("import_again", 0),
        ("post", "own", 1, True),
        ("export",),
    ]
    replay(tmp_path, steps)


@pytest.mark.tools
def test_the_only_file_with_removed_rows(tmp_path: Path) -> None:
    steps: list[Step] = [
        ("post", "data", 4, False),
        ("export",),
        ("move_away", "data", True),
        ("post", "data", 2, False),
        ("export",),
        ("remove", 3),
        ("lose_archived",),
    ]
    replay(tmp_path, steps)


@pytest.mark.tools
def test_an_import_of_rows_of_a_removed_time(tmp_path: Path) -> None:
    steps: list[Step] = [
        ("post", "data2", 3, True),
        ("export",),
        ("remove", 2),
        ("import_old", "data2", 3, True),
    ]
    replay(tmp_path, steps)


@pytest.mark.tools
def test_an_older_backup_beside_longer_files(tmp_path: Path) -> None:
    steps: list[Step] = [
        ("post", "data", 3, True),
        ("export",),
        ("backup",),
        ("post", "data", 3, True),
        ("export",),
        ("restore", 0, True),
    ]
    replay(tmp_path, steps)


@pytest.mark.tools
def test_a_backup_older_than_a_file_that_was_set_aside(tmp_path: Path) -> None:
    steps: list[Step] = [
        ("post", "own", 3, True),
        ("backup",),
        ("export",),
        ("columns",),
        ("export",),
        ("restore", 0, True),
    ]
    replay(tmp_path, steps)


@pytest.mark.tools
def test_such_a_backup_that_lacks_rows_of_the_file(tmp_path: Path) -> None:
    steps: list[Step] = [
        ("post", "data", 2, True),
        ("backup",),
        ("post", "data", 1, True),
        ("export",),
        ("move_away", "data", True),
        ("restore", 0, False),
        ("post", "data", 3, True),
    ]
    replay(tmp_path, steps)
