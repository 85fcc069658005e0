"""Importing while the service stores what its sensors send."""

from pathlib import Path

from tests.e2e.conftest import MakeService
from tests.e2e.load import Load
from tests.support.shared_data import measured_csv

ROWS = 60_000


def three_times(path: Path) -> Path:
    """A file of 60,000 rows, each of the real ones three times."""
    header, *rows = measured_csv().read_bytes().splitlines(keepends=True)
    path.write_bytes(header + b"".join(row * 3 for row in rows))
    return path


def test_ingest_goes_on_while_years_are_imported(service: MakeService, tmp_path: Path) -> None:
    running = service()
    path = three_times(tmp_path / "BedRoomEnv.csv")

    load = Load(running.port)
    with load.running():
        load.burst()
        imported = running.run("-m", "flask10x", "import", str(path))
        load.burst()
    running.stop()

    assert imported.returncode == 0, imported.stderr
    assert imported.stdout == (
        f"BedRoomEnv.csv: {ROWS} rows read, {ROWS} stored, 0 present, 0 rejected\n"
    )
    assert load.statuses.keys() == {200}
    assert load.broken == []
    load.check_answers()
    running.check_integrity()
    live = "NOT EXISTS (SELECT 1 FROM imports WHERE readings.id BETWEEN first_id AND last_id)"
    found = running.rows(f"SELECT gas_resistance FROM readings WHERE {live}")
    assert sorted(int(number) for (number,) in found) == sorted(load.acknowledged)
    assert running.count() == ROWS + len(load.acknowledged)
    # No commit of the service had to wait for so long that it was tried again and again.
    assert [line for line in running.log() if " ERROR " in line or "Cannot store" in line] == []
