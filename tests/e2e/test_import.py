"""Importing while the service stores what its sensors send."""

from pathlib import Path

import pytest

from tests.e2e.conftest import MakeService
from tests.e2e.load import Load
from tests.support import bedroom


def several_times(path: Path, times: int) -> Path:
    """A file of the bedroom's rows, each so many times."""
    header, *rows = bedroom.old_file().splitlines(keepends=True)
    path.write_bytes(header + b"".join(row * times for row in rows))
    return path


@pytest.mark.tools
@pytest.mark.parametrize("times", [1, pytest.param(3, marks=pytest.mark.long)])
def test_ingest_goes_on_while_years_are_imported(
    service: MakeService, tmp_path: Path, times: int
) -> None:
    running = service()
    path, rows = several_times(tmp_path / bedroom.NAME, times), bedroom.ROWS * times

    load = Load(running.port)
    with load.running():
        load.burst()
        imported = running.run("-m", "flask10x", "import", str(path))
        load.burst()
    running.stop()

    assert imported.returncode == 0, imported.stderr
    assert imported.stdout == (
        f"BedRoomEnv.csv: {rows} rows read, {rows} stored, 0 present, 0 rejected\n"
    )
    assert load.statuses.keys() == {200}
    assert load.broken == []
    load.check_answers()
    running.check_integrity()
    live = "NOT EXISTS (SELECT 1 FROM imports WHERE readings.id BETWEEN first_id AND last_id)"
    found = running.rows(f"SELECT gas_resistance FROM readings WHERE {live}")
    assert sorted(int(number) for (number,) in found) == sorted(load.acknowledged)
    assert running.count() == rows + len(load.acknowledged)
    # No commit of the service had to wait for so long that it was tried again and again.
    assert [line for line in running.log() if " ERROR " in line or "Cannot store" in line] == []
