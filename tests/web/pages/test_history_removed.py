"""The table says where it ends because older readings were removed, and nowhere else."""

import pytest
from flask.testing import FlaskClient

from flask10x.database.database import Database
from tests.support.csv_folder import FIRST_MS
from tests.support.rows import execute, insert_readings, pico

HINT = 'id="removed"'


@pytest.fixture
def page(client: FlaskClient, database: Database) -> FlaskClient:
    """Three readings, before which some were removed."""
    with database.commit() as connection:
        insert_readings(connection, [pico(n, FIRST_MS + n) for n in range(3)])
    execute(database.path, f"INSERT INTO removed VALUES ('data', 0, {FIRST_MS - 1}, 7)")
    return client


@pytest.mark.parametrize(
    ("query", "is_there"),
    [
        ("?from=all", True),
        ("?endpoint=data&order=asc&from=all", True),
        ("?limit=2&from=all", False),
        ("?limit=2&order=asc&from=all", True),
        ("?endpoint=data3&from=all", False),
        ("?from=2025-08-25", False),
        ("?from=2025-08-20&to=2025-08-21", True),
    ],
)
def test_the_end_of_the_table(page: FlaskClient, query: str, is_there: bool) -> None:
    answer = page.get(f"/history{query}")
    assert answer.status_code == 200
    assert (HINT in answer.text) == is_there
    if is_there:
        assert "Older readings were removed. Their hourly" in answer.text
