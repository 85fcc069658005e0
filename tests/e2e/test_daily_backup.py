"""The service makes its daily backup itself, once, while it receives."""

from pathlib import Path

import pytest

from flask10x.system.backup_files import finished
from tests.e2e.conftest import MakeService
from tests.e2e.service import wait_until
from tests.support.rows import insert_selected

pytestmark = pytest.mark.sqlite_only("on PostgreSQL no backup is made by default")

# Of the first reading: a night is past since then.
DAYS_AGO_MS = 3 * 86_400_000
# Python runs it before the service: what the service waits for after a start is no wait here.
AT_ONCE = """
from flask10x.runtime import backup_schedule
backup_schedule.AFTER_START_MS = 0
backup_schedule.LOOK_EVERY_MS = 1000
"""


@pytest.mark.tools
def test_a_missed_backup_is_made_once_after_the_start(service: MakeService, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(AT_ONCE)
    running = service(start=False)
    running.environment["PYTHONPATH"] = str(tmp_path)
    running.start()
    backups = running.data_dir / "backups"
    # Nothing is stored, so nothing is backed up.
    assert running.rows("SELECT count(*) FROM readings") == [(0,)] and not backups.exists()
    columns = "endpoint, received_at, temperature, pressure"
    at = f"CAST(strftime('%s', 'now') AS INTEGER) * 1000 - {DAYS_AGO_MS}"
    insert_selected(running.database, (columns, f"SELECT 'data', {at}, 20.0, 1000.0"))
    wait_until(lambda: backups.is_dir() and finished(backups), 60, "the backup is made")
    # Who looks again finds it; the status of what made it comes last.
    status = running.data_dir / "scheduled" / "status"
    wait_until(lambda: status.is_file() and status.read_text() == "0", 60, "the backup has ended")
    log = running.log_dir / "flask10x.log"
    wait_until(lambda: "The daily backup is made" in log.read_text(), 10, "it is in the log")
    assert len(finished(backups)) == 1
    assert log.read_text().count("The daily backup begins") == 1
    running.stop()
