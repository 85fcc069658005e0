"""`flask10x stations`: what a person at the shell sees and does."""

import json
import shlex
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flask10x.commands.stations import command
from flask10x.config import settings as settings_module
from flask10x.config import station_text
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.paths import shown_name
from flask10x.errors import SettingsError, StationsError
from flask10x.maintenance import station_changes
from flask10x.readings.stations import BUILT_IN, Measurement, Station
from flask10x.recording import rejected
from flask10x.recording.rejected import RejectedReading
from flask10x.system import own_files
from tests.support import databases
from tests.support.databases import environment_of
from tests.support.new_database import lay_new_database
from tests.support.rows import execute, insert_readings, pico, select

AT = 1_756_000_000_000
BODY = b'{"env": {"temp": "25.1C"}, "lux": 120, "device": "esp32"}'
ENTRY = """[stations.balcony]
label = "balcony"
csv_file = "balcony.csv"
colour = 5

[stations.balcony.measurements.temperature]
path = "env.temp"
quantity = "temperature"
label = "Temperature"
label_ja = "温度"
unit = "°C"
minimum = -50
maximum = 150
csv_header = "temperature"

[stations.balcony.measurements.illuminance]
path = "lux"
quantity = "illuminance"
label = "Illuminance"
label_ja = "照度"
unit = "lx"
minimum = 0
csv_header = "illuminance"
"""


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment_of(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FLASK10X_TIMEZONE", "Asia/Tokyo")
    if databases.ON_POSTGRES:
        lay_new_database(tmp_path / databases.FILE_NAME)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "stations.toml"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    path = tmp_path / "body.json"
    path.write_bytes(BODY)
    return path


def files_in(folder: Path) -> list[str]:
    """Their names, without those of locks."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def without_columns(said: str) -> list[str]:
    """The lines, without that of new columns: on PostgreSQL there always is a database."""
    return [
        line
        for line in said.splitlines()
        if ": new column" not in line and ": a new column" not in line
    ]


def name_of_database() -> str:
    return shown_name(settings_module.load())


def run(*arguments: str, answers: str | bytes | None = None) -> Result:
    return CliRunner().invoke(command, arguments, input=answers)


def refuse(database: Database, settings: Settings, *refused: RejectedReading) -> None:
    with database.commit() as connection:
        rejected.keep(connection, refused, settings)


def test_init_writes_the_built_in_stations_and_never_over_a_file(file: Path) -> None:
    result = run("init")
    assert (result.exit_code, result.stdout) == (0, f"{file} was written\n")
    assert settings_module.load().stations.all == BUILT_IN.all
    assert file.read_text(encoding="utf-8").startswith(station_text.head())

    file.write_text("# mine\n")
    assert str(run("init").exception) == f"there is {file} already; it stays as it is"
    assert file.read_text() == "# mine\n"
    assert files_in(file.parent) == ["stations.toml"]


def test_init_follows_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK10X_STATIONS", f"{tmp_path}/other/mine.toml")
    assert run("init").exit_code == 0
    assert settings_module.load().stations.all == BUILT_IN.all
    assert (tmp_path / "other" / "mine.toml").stat().st_mode & 0o777 == 0o644


def test_list_shows_each_station(file: Path) -> None:
    file.write_text(ENTRY, encoding="utf-8")
    lines = run("list").stdout.splitlines()
    assert lines[0] == "/data  Pico (BME280)  PicodataX.csv  pressure hPa, temperature °C"
    assert lines[4:] == ["/balcony  balcony  balcony.csv  temperature °C, illuminance lx"]


# check


def test_check_says_what_would_change(file: Path, tmp_path: Path, database: Database) -> None:
    missing = run("check")
    assert missing.stdout == f"{file}: no mistake; 4 stations, 0 of them added\n"
    file.write_text(f'{ENTRY}[stations.data.measurements.lux]\nunit = "lx"\n', encoding="utf-8")
    folder = tmp_path / "csv"
    folder.mkdir()
    (folder / "PicodataX.csv").write_bytes(b"current_time,Pressure,Tempereture\r\n")
    (folder / "LR_env.csv").write_bytes(
        b"current_time,CO2,AnalogValue,Voltage,Temperature_DS18B20,Temperature_DHT11"
        b",Humidity_DHT11\r\n"
    )
    (folder / "balcony.csv").touch()

    result = run("check")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"{file}: no mistake; 5 stations, 1 of them added",
        f"{name_of_database()}: new columns: lux, illuminance",
        f"{folder}/PicodataX.csv: the next export begins a new file; the old one keeps its bytes",
        '/data: a reading without lux is refused; partial = "accept" takes it',
    ]
    assert settings_module.load().stations.columns[-1] == "illuminance"


def test_check_names_every_mistake_with_its_line(file: Path, tmp_path: Path) -> None:
    file.write_text("[stations.x]\nlable = 'y'\n[stations.x.measurements.z]\n")
    for arguments in ((), (str(file),)):
        result = run("check", *arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.splitlines() == [
            f"{file}: line 2: [stations.x] lable: unknown key (did you mean label?)",
            f"{file}: line 3: [stations.x.measurements.z] unit: is missing;"
            ' write unit = "" for a number without a unit',
        ]
    other = tmp_path / "other.toml"
    assert "there is no file" in str(run("check", str(other)).exception)
    other.write_text(ENTRY, encoding="utf-8")
    assert without_columns(run("check", str(other)).stdout) == [
        f"{other}: no mistake; 5 stations, 1 of them added"
    ]


# add


def test_add_proposes_what_an_example_has_and_asks(file: Path, example: Path) -> None:
    refused = run("add", "balcony", "--from-json", str(example), answers="n\n")
    assert refused.exit_code == 1
    assert "nothing was added" in refused.stderr
    assert not file.exists()

    result = run("add", "/balcony", "--from-json", str(example), answers="\n")
    assert result.exit_code == 0
    assert result.stderr == "left out: device: it is a text\n"
    shown, asked, *rest = result.stdout.partition(f"\nAdd it to {file}? [Y/n]: ")
    assert (shown, asked != "") == (ENTRY, True)
    lines = without_columns(rest[0])
    assert lines[-4:-1] == [
        f"{file}: added",
        "Restart the service to apply it, or run: sudo systemctl reload flask10x",
        "Then it can be tried; this stores nothing:",
    ]
    words = shlex.split(lines[-1])
    assert json.loads(words[words.index("-d") + 1]) == json.loads(BODY)
    assert words[-1] == "http://localhost:8888/balcony?dry_run=1"
    assert file.read_text(encoding="utf-8") == (f"{station_text.rendered(BUILT_IN.all)}\n{ENTRY}")
    added = settings_module.load().stations.by_endpoint["balcony"]
    assert added.columns == ("temperature", "illuminance")


@pytest.mark.parametrize("mine", ["", "# mine", "# mine\r\n", "[stations.data] # x\n\n\n"])
def test_add_keeps_the_rest_of_the_file(file: Path, example: Path, mine: str) -> None:
    file.write_bytes(mine.encode())
    file.chmod(0o600)
    assert run("add", "balcony", "--from-json", str(example), "--yes").exit_code == 0
    written = file.read_bytes().decode()
    between = written.removeprefix(mine).removesuffix(ENTRY)
    assert written.startswith(mine)
    assert between in ("\n", "\n\n")
    assert file.stat().st_mode & 0o777 == 0o600
    assert files_in(file.parent) == ["body.json", "stations.toml"]


def test_add_makes_the_columns_so_that_no_start_has_to(
    file: Path, example: Path, database: Database
) -> None:
    with database.commit() as connection:
        insert_readings(connection, [pico(1013.0)])
    result = run("add", "balcony", "--from-json", str(example), "--yes")
    assert result.exit_code == 0
    assert f"{name_of_database()}: a new column: illuminance" in result.stdout
    columns = select(database.path, "SELECT pressure, illuminance FROM readings")
    assert columns == [(1013.0, None)]
    other = run("add", "attic", "--from-json", str(example), "--yes")
    assert other.exit_code == 0
    assert "new column" not in other.stdout


def test_an_added_station_keeps_its_colour_when_one_before_it_goes(
    file: Path, example: Path
) -> None:
    for name in ("balcony", "attic", "cellar"):
        assert run("add", name, "--from-json", str(example), "--yes").exit_code == 0
    written, first = file.read_text(encoding="utf-8"), {"data": (1, 0), "data4": (4, 0)}
    colours = settings_module.load().stations.colours
    assert colours.items() >= (first | {"attic": (6, 0), "cellar": (7, 0)}).items()
    before, _, after = written.partition("\n[stations.balcony]\n")
    file.write_text(before + after[after.index("\n[stations.attic]\n") :], encoding="utf-8")
    assert settings_module.load().stations.colours == {
        name: colour for name, colour in colours.items() if name != "balcony"
    }
    # Its number is free for the next one.
    assert run("add", "shed", "--from-json", str(example), "--yes").exit_code == 0
    assert settings_module.load().stations.colours["shed"] == colours["balcony"]


def test_add_goes_through_a_link_and_leaves_it(file: Path, tmp_path: Path, example: Path) -> None:
    real = tmp_path / "real.toml"
    real.write_text("")
    file.symlink_to(real)
    assert run("add", "balcony", "--from-json", str(example), "--yes").exit_code == 0
    assert file.is_symlink()
    assert real.read_text(encoding="utf-8").endswith(ENTRY)


def test_add_writes_nothing_beside_a_mistake(file: Path, example: Path) -> None:
    file.write_text("[stations.x]\n")
    result = run("add", "balcony", "--from-json", str(example), "--yes")
    assert isinstance(result.exception, StationsError)
    # The station itself may be one that the file can't have: its CSV file is another's.
    file.write_text("[stations.x]\ncsv_file = 'Balcony.csv'\n[stations.x.measurements.y]\nunit=''")
    result = run("add", "balcony", "--from-json", str(example), "--yes")
    assert "csv_file: x has the same" in str(result.exception)
    assert file.read_text().endswith("unit=''")


def test_a_file_that_was_changed_meanwhile_is_left_alone(file: Path) -> None:
    station = BUILT_IN.all[0]
    file.write_text("# 1\n")
    with pytest.raises(StationsError):
        station_changes.with_station(
            file,
            station.__class__(
                endpoint="a b", label="x", csv_name="x.csv", measurements=station.measurements
            ),
        )
    written, former = b"# 2\n", file.read_bytes()
    file.write_text("# 3\n")
    with pytest.raises(SettingsError, match="was changed meanwhile"):
        own_files.replace(file, written, former)
    file.unlink()
    with pytest.raises(SettingsError, match="was changed meanwhile"):
        own_files.replace(file, written, former)
    assert files_in(file.parent) == []


def test_of_two_changes_at_once_one_is_made_and_the_other_says_so(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("# 1\n")
    put_in_place, began = own_files.put_in_place, Barrier(2)

    def slow(*taken: Any) -> None:
        # Where another one is at it, too, it comes between.
        with suppress(BrokenBarrierError):
            began.wait(0.5)
        put_in_place(*taken)

    def change(data: bytes) -> bytes | None:
        try:
            own_files.replace(file, data, b"# 1\n")
        except SettingsError:
            return None
        return data

    monkeypatch.setattr(own_files, "put_in_place", slow)
    with ThreadPoolExecutor(2) as threads:
        made = [*filter(None, threads.map(change, [b"# 2\n", b"# 3\n"]))]
    assert made == [file.read_bytes()]
    assert files_in(file.parent) == [file.name]


def test_add_takes_standard_input(file: Path) -> None:
    shown = run("add", "balcony", "--from-json", "-", answers=BODY)
    assert (shown.exit_code, shown.stdout) == (1, f"{ENTRY}\n")
    assert "nothing was added; to add this, give --yes too" in shown.stderr
    assert not file.exists()
    assert run("add", "balcony", "--from-json", "-", "--yes", answers=BODY).exit_code == 0
    assert file.read_text(encoding="utf-8").endswith(ENTRY)


def test_an_item_of_a_batch_is_an_example_too(file: Path) -> None:
    item = json.dumps({"data": json.loads(BODY), "age_s": 5, "endpoint": "balcony"})
    assert run("add", "balcony", "--from-json", "-", "--yes", answers=item).exit_code == 0
    assert file.read_text(encoding="utf-8").endswith(ENTRY)


def test_add_takes_the_last_refused_body(
    file: Path, database: Database, settings: Settings
) -> None:
    reasons = {"endpoint": "there is no such station"}
    refuse(
        database,
        settings,
        RejectedReading("balcony", AT, "application/json", b'{"old": 1}', reasons),
        RejectedReading("balcony", AT + 2, "application/json", BODY, reasons),
        RejectedReading("shed", AT + 1, "application/json", b'{"soil": 433}', reasons),
        RejectedReading("data", AT + 3, "application/json", b'{"pressure": 1}', reasons),
    )
    # A path is enough; the hint of the 404 names no option.
    assert run("add", "balcony", "--yes").exit_code == 0
    assert file.read_text(encoding="utf-8").endswith(ENTRY)
    assert run("add", "--from-rejected", "--yes").exit_code == 0
    assert settings_module.load().stations.by_endpoint["shed"].columns == ("soil",)
    for arguments, said in (
        (["--from-rejected"], "no body is kept that came to a path without a station"),
        (["attic", "--from-rejected"], "has no body that came to /attic: post one"),
        (["attic"], f"{name_of_database()} has no body that came to /attic: post one"),
    ):
        result = run("add", *arguments)
        assert result.exit_code == 1 and said in result.stderr
    former = run("add", "--from-refused").stderr
    assert "--from-refused is called --from-rejected now" in former
    assert "no body is kept that came to a path without a station" in former


def test_columns_that_cannot_be_added_now_are_left_to_the_restart(
    file: Path, database: Database, example: Path
) -> None:
    # Its views go with it.
    cascade, code = (" CASCADE", "42P01") if databases.ON_POSTGRES else ("", "SQLITE_")
    execute(database.path, f"DROP TABLE readings{cascade}")
    result = run("add", "balcony", "--from-json", str(example), "--yes")
    assert result.exit_code == 0
    assert f"the database cannot be used: {code}" in result.stdout
    assert "balcony" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "body", "said"),
    [
        (["data"], BODY, "there is a station data already"),
        (["history"], BODY, "/history is an address of the service"),
        (["A"], BODY, "small letters a to z, digits, - and _ are needed"),
        ([], BODY, "its path is missing: flask10x stations add ENDPOINT"),
        (["x", "--from-rejected"], BODY, "--from-json and --from-rejected do not go together"),
        (["x"], b"{}", "there is no number in the body"),
        (["x"], b'{"a": "b"}', "there is no number in the body"),
        (["x"], b"[1]", "the example: JSON list instead of an object: send one JSON object"),
        (["x"], b'{"a": ', "the example: JSON ends early"),
        (["x"], b'{"a": nan}', "the example: invalid JSON"),
    ],
)
def test_what_add_refuses(file: Path, arguments: list[str], body: bytes, said: str) -> None:
    result = run("add", *arguments, "--yes", "--from-json", "-", answers=body)
    assert result.exit_code in (1, 2)
    assert said in result.stderr
    assert not file.exists()


def test_no_station_is_added_with_a_heading_that_is_a_formula(file: Path) -> None:
    volt = Measurement(path="v", column="v", quantity="v", csv_header="+5V rail", unit="V")
    rail = Station(endpoint="rail", label="rail", csv_name="rail.csv", measurements=(volt,))
    with pytest.raises(SettingsError) as refused:
        station_changes.with_station(file, rail)
    reason = "csv_header is '+5V rail', which a spreadsheet takes for a formula; '5V rail' is none"
    assert str(refused.value) == f"{file}: stations.rail.measurements.v: {reason}"


def test_add_goes_on_beside_an_old_heading_and_check_names_it(file: Path, example: Path) -> None:
    entry = '[stations.rail.measurements.v]\nunit = "V"\ncsv_header = "@door"\n'
    file.write_text(entry, encoding="utf-8")
    assert run("add", "garden", "--from-json", str(example), "--yes").exit_code == 0
    result = run("check")
    assert result.exit_code == 0
    assert f"{file}: stations.rail.measurements.v: csv_header is '@door', which" in result.stdout
