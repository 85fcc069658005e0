"""What `flask10x check` and the forecast of the card make of removed readings."""

import pytest

from flask10x.config.settings import Settings
from flask10x.database import removed
from flask10x.database.database import Database
from flask10x.health.checks import Facts
from flask10x.maintenance.check_database import DatabaseCheck
from tests.support.csv_folder import FIRST_MS
from tests.support.rows import execute


@pytest.mark.sqlite_only("the check is of its file")
def test_the_check_says_what_is_gone(settings: Settings, database: Database) -> None:
    execute(database.path, f"INSERT INTO removed VALUES ('data', 7, {FIRST_MS}, 5)")
    findings = [
        finding
        for finding in DatabaseCheck(settings, Facts(), full=False, since_ms=None).look(
            database.path
        )
        if finding.name == "removed"
    ]
    assert [finding.text for finding in findings] == [
        "/data: 5 readings up to 2025-08-24 10:46:40 removed; their hours and days are kept"
    ]
    with database.reader.begin() as connection:
        assert removed.removed_of_station(connection, "data").readings == 5


def test_the_check_says_nothing_where_nothing_is(settings: Settings, database: Database) -> None:
    findings = DatabaseCheck(settings, Facts(), full=False, since_ms=None).look(database.path)
    assert "removed" not in [finding.name for finding in findings]
