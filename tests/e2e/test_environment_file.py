"""What is started by hand sees what the service sees: its environment file, by itself."""

import subprocess
import sys

import pytest

from tests.e2e.conftest import MakeService
from tests.e2e.service import PROJECT, Service
from tests.support.databases import lay_empty_database

HALF = {"mh_z19": {"co2": 650}, "mq_2": {"analog_value": 12, "voltage": 1}, "ds18b20": None}


@pytest.fixture
def service_with_file(service: MakeService) -> Service:
    """A service in Tokyo on a machine in UTC; all that its processes are given is the file."""
    made = service(start=False, timezone="Asia/Tokyo", partial_readings="data4=accept")
    lay_empty_database(made.database)
    file = made.folder / "flask10x.env"
    ours = {name: v for name, v in made.environment.items() if name.startswith("FLASK10X_")}
    del ours["FLASK10X_ENV_FILE"]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("# settings\n" + "".join(f'{name}="{v}"\n' for name, v in ours.items()))
    for name in ours:
        del made.environment[name]
    made.environment |= {"FLASK10X_ENV_FILE": str(file), "TZ": "UTC"}
    return made


def flask10x(service: Service, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = service.command(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.tools
def test_commands_see_the_zone_of_the_service(service_with_file: Service) -> None:
    service = service_with_file
    service.starts_migrated = False
    flask10x(service, "migrate")
    service.start()

    # The page's time and the file's are of one zone.
    assert service.post("data", {"pressure": 1013, "temperature": 25}).status == 200
    service.wait_for_rows(1)
    flask10x(service, "export")
    (shown,) = service.get("/history/json").json
    assert (service.csv_dir / "PicodataX.csv").read_text().splitlines()[1:] == [
        f"{shown['timestamp']},1013.0,25.0"
    ]
    ((utc_ms,),) = service.rows("SELECT received_at FROM readings")
    hours = int(shown["timestamp"][11:13]) - utc_ms // 3_600_000
    assert hours % 24 == 9
    flask10x(service, "export", "--verify")
    flask10x(service, "rollups")
    flask10x(service, "backup")
    assert (
        f"ok   settings: from {service.folder / 'flask10x.env'}"
        in flask10x(service, "check").stdout.splitlines()
    )
    service.stop()


@pytest.mark.tools
def test_a_replay_judges_by_the_rules_of_the_service(service_with_file: Service) -> None:
    service = service_with_file
    file = service.folder / "flask10x.env"
    lenient = file.read_text()
    file.write_text(lenient.replace("data4=accept", "reject"))
    service.start()
    assert service.post("data4", HALF).status == 400
    service.stop()

    file.write_text(lenient)
    replayed = flask10x(service, "rejected", "replay").stdout
    assert replayed.startswith("1 stored, 0 still rejected\n")


@pytest.mark.tools
def test_alembic_by_hand_finds_the_database_of_the_service(service_with_file: Service) -> None:
    service = service_with_file
    flask10x(service, "migrate")

    done = subprocess.run(
        [sys.executable, "-m", "alembic", "current"],
        cwd=PROJECT,
        env=service.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("(head)\n")


def test_a_service_does_not_start_with_a_mistake_in_its_file(service_with_file: Service) -> None:
    service = service_with_file
    file = service.folder / "flask10x.env"
    file.write_text(file.read_text() + "FLASK10X_ACK=stored\n")
    lines = len(file.read_text().splitlines())

    done = service.run("-m", "flask10x", "serve")
    assert done.returncode == 1
    wanted = "FLASK10X_ACK is 'stored': one of enqueued, committed is needed"
    assert done.stderr == f"flask10x: {file}, line {lines}: {wanted}\n"
