"""A command that does not have the service's time zone writes nothing to the CSV files."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.conftest import MakeService
from tests.e2e.service import Service


@contextmanager
def without_the_settings(service: Service) -> Iterator[None]:
    """Commands run as by hand on a machine in UTC, without the service's file of settings."""
    given = dict(service.environment)
    del service.environment["FLASK10X_TIMEZONE"]
    service.environment["TZ"] = "UTC"
    yield
    service.environment.clear()
    service.environment.update(given)


@pytest.mark.tools
def test_a_command_in_another_zone_is_refused(service: MakeService) -> None:
    running = service()
    file = running.csv_dir / "PicodataX.csv"
    times = 0
    for times in range(1, 3):
        assert running.post("/data", {"pressure": 990 + times, "temperature": 1.5}).status == 200
        running.wait_for_rows(times)
        before = file.read_bytes() if file.exists() else b""
        if before:
            with without_the_settings(running):
                for arguments in (
                    ("export", "PicodataX.csv"),
                    ("export", "--verify", "PicodataX.csv"),
                    ("import", str(file)),
                ):
                    done = running.command(*arguments)
                    assert done.returncode == 1
                    assert "written in the time zone Asia/Tokyo, this command runs in UTC" in (
                        done.stderr
                    )
                checked = running.command("check").stdout
                assert "WARN zone: PicodataX.csv: the file was written in the time zone" in checked
            assert file.read_bytes() == before
            assert running.count() == times
        running.export()
        after = file.read_bytes()
        assert after.startswith(before)
        assert after.count(b"\r\n") == times + 1
    assert running.command("export", "--verify").returncode == 0
    assert "ok   zone: Asia/Tokyo" in running.command("check").stdout
