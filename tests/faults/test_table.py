"""The documents show the figures that the fault tests recorded, of every fault."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.service import PROJECT
from tests.faults import kill_table, outage_table, table


def recorded() -> Iterator[str]:
    """What the fault tests record."""
    for file in Path(__file__).parent.glob("test_*.py"):
        yield from re.findall(r"^ +record\(\s*\"([^\"]+)\"", file.read_text(), re.MULTILINE)


def test_each_fault_that_is_recorded_has_a_name() -> None:
    assert set(recorded()) == table.FAULTS.keys()


def test_every_fault_has_figures() -> None:
    recorded_faults = {run["fault"] for run in table.read(table.FIGURES)}
    outages = outage_table.FAULTS.keys() | {outage_table.RUN}
    assert recorded_faults - outages == table.FAULTS.keys() | kill_table.VICTIMS.keys()
    # A cluster can't be started everywhere, so its faults may lack.
    assert {"pg-restarted", outage_table.RUN} <= recorded_faults


@pytest.mark.parametrize(("language", "name"), [(0, table.ENGLISH), (1, table.JAPANESE)])
def test_the_documents_show_the_figures(language: int, name: str) -> None:
    text = (PROJECT / name).read_text(encoding="utf-8")
    assert table.put_all_into(text, table.read(table.FIGURES), language) == text
