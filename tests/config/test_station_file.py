"""`stations.toml`: what it makes of the stations, and what is said of each mistake in it."""

import re
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from flask10x.config import settings, station_file
from flask10x.config.settings import Settings
from flask10x.config.station_keys import RESERVED_COLUMNS, RESERVED_ENDPOINTS
from flask10x.database import schema
from flask10x.database.tables import metadata
from flask10x.errors import SettingsError, StationsError
from flask10x.readings.bands import Band
from flask10x.readings.stations import BUILT_IN, Fault, Measurement, Station
from flask10x.recording import shared_queue
from tests.conftest import MakeApp, MakeSettings
from tests.support import schemas

FILE = Path("/srv/stations.toml")

BALCONY = """
[stations.balcony]
label = "Balcony (SHT31)"
label_ja = "ベランダ　（SHT31）"
csv_file = "Balcony.csv"
interval_sec = 60
partial = "accept"
repeat_window_sec = 0
retention_days = 400
ambient_channel = 12345
mqtt_topic = "home/balcony"
influx = "balcony"
influx_tags = { node = "esp8266-123" }
outside = true
chart = "own"
altitude_m = 35.5
order = 2
icon = "outside"
tile_main = "pm25"
tile_second = "temperature"

[stations.balcony.measurements.temperature]
path = "env.t"
aliases = ["temp"]
label = "Temperature"
label_ja = "気温"
unit = "°C"
minimum = -40
maximum = 85.5
csv_header = "Temperature"
ambient = "d1"
influx = "BME280_temperature"
faults = [
    { value = -127, sensor = "DS18B20", reason = "sensor_silent" },
    { value = 85, sensor = "DS18B20", warning_only = true },
    { value = -1, sensor = "DHT22" },
]
bands = [
    { above = 35.5, level = "warning", label = "Hot", label_ja = "猛暑" },
    { below = 0, label = "Frost" },
]

[stations.balcony.measurements.pm25]
unit = "µg/m³"

[stations.balcony.measurements.lux]
unit = "lx"
hidden = true
"""


def stations(text: str) -> tuple[Station, ...]:
    """Those of the file that are not built in."""
    read = station_file.parse(text.encode(), FILE).all[4:]
    schemas.check_right("stations", text)
    return read


def mistakes(text: str) -> list[str]:
    """The mistakes in the file, without its name, with which each begins."""
    with pytest.raises(StationsError) as caught:
        station_file.parse(text.encode(), FILE)
    assert str(caught.value) == "; ".join(caught.value.mistakes)
    assert all(mistake.startswith(f"{FILE}: ") for mistake in caught.value.mistakes)
    schemas.check_wrong("stations", text, caught.value.mistakes)
    return [mistake.removeprefix(f"{FILE}: ") for mistake in caught.value.mistakes]


def test_a_station_with_every_key() -> None:
    assert stations(BALCONY) == (
        Station(
            endpoint="balcony",
            label="Balcony (SHT31)",
            label_ja="ベランダ　（SHT31）",
            csv_name="Balcony.csv",
            interval_sec=60,
            accepts_partial=True,
            repeat_window_sec=0,
            retention_days=400,
            ambient_channel="12345",
            mqtt_topic="home/balcony",
            influx="balcony",
            influx_tags=(("node", "esp8266-123"),),
            outside=True,
            chart="own",
            altitude_m=35.5,
            order=2,
            icon="outside",
            tile_main="pm25",
            tile_second="temperature",
            measurements=(
                Measurement(
                    path="env.t",
                    aliases=("temp",),
                    column="temperature",
                    quantity="temperature",
                    label="Temperature",
                    label_ja="気温",
                    unit="°C",
                    minimum=-40,
                    maximum=85.5,
                    csv_header="Temperature",
                    ambient="d1",
                    influx="BME280_temperature",
                    faults=(
                        Fault(value=-127, sensor="DS18B20", code="sensor_silent"),
                        Fault(
                            value=85, sensor="DS18B20", code="fault_value_kept", warning_only=True
                        ),
                        Fault(value=-1, sensor="DHT22", code="fault_value"),
                    ),
                    bands=(
                        Band(above=35.5, level="warning", label="Hot", label_ja="猛暑"),
                        Band(below=0, level="notice", label="Frost"),
                    ),
                ),
                Measurement(
                    path="pm25", column="pm25", quantity="pm25", unit="µg/m³", csv_header="pm25"
                ),
                Measurement(
                    path="lux",
                    column="lux",
                    quantity="lux",
                    unit="lx",
                    csv_header="lux",
                    hidden=True,
                ),
            ),
        ),
    )


def test_what_a_station_is_without_keys() -> None:
    assert stations('[stations.shed.measurements.co2]\nunit = "ppm"') == (
        Station(
            endpoint="shed",
            label="shed",
            csv_name="shed.csv",
            measurements=(
                Measurement(path="co2", column="co2", quantity="co2", csv_header="co2", unit="ppm"),
            ),
        ),
    )


def test_the_built_in_stations_come_first_and_can_be_adjusted() -> None:
    result = station_file.parse(
        (
            BALCONY
            + """
[stations.data4]
label = "Kitchen"
csv_file = "LR_env.csv"
interval_sec = 20
[stations.data4.measurements.temperature_ds18b20]
path = "ds18b20.temperature"
minimum = -30
faults = []
[stations.data4.measurements.lux]
unit = "lx"
"""
        ).encode(),
        FILE,
    )

    assert [s.endpoint for s in result.all] == ["data", "data2", "data3", "data4", "balcony"]
    assert result.all[:3] == BUILT_IN.all[:3]
    kitchen, former = result.by_endpoint["data4"], BUILT_IN.by_endpoint["data4"]
    assert (kitchen.label, kitchen.interval_sec) == ("Kitchen", 20)
    assert kitchen.columns == (*former.columns, "lux")
    assert kitchen.csv_header == (*former.csv_header, "lux")
    changed = replace(former.measurements[3], minimum=-30, faults=())
    is_kept = [m for m in former.measurements if m.column != "temperature_ds18b20"]
    assert [*kitchen.measurements[:3], *kitchen.measurements[4:6]] == is_kept
    assert kitchen.measurements[3] == changed
    assert result.columns == (*BUILT_IN.columns, "lux", "pm25")
    assert result.file == str(FILE)


def test_bands_of_a_built_in_station_can_be_set_and_turned_off() -> None:
    text = """
[stations.data2.measurements.co2]
bands = [{ above = 800, label = "Air the room" }]
[stations.data2.measurements.temperature]
bands = []
[stations.data3]
outside = false
"""
    result = station_file.parse(text.encode(), FILE).by_endpoint
    bedroom, outside = result["data2"], result["data3"]
    assert [[b.label for b in bedroom.bands_of(m)] for m in bedroom.measurements] == [
        *(["Air the room"], [], ["Dry", "Very dry"], [], []),
    ]
    assert [b.label for b in outside.bands_of(outside.measurements[0])] == ["Hot", "Very hot"]


def test_they_cannot_be_changed() -> None:
    first, other = (station_file.parse(b"", FILE) for _ in range(2))
    assert first.all == other.all == BUILT_IN.all
    assert len({first, other, BUILT_IN}) == 3
    with pytest.raises(FrozenInstanceError):
        first.columns = ()  # type: ignore[misc]
    with pytest.raises(TypeError):
        first.by_endpoint["x"] = first.all[0]  # type: ignore[index]


# Which file


def load(folder: Path, **values: str) -> Settings:
    variables = {f"FLASK10X_{name}": value for name, value in values.items()}
    return settings.load({"FLASK10X_DATA_DIR": str(folder)} | variables)


def test_without_a_file_there_are_the_built_in_ones(tmp_path: Path) -> None:
    assert load(tmp_path).stations is BUILT_IN
    assert load(tmp_path / "none").stations is BUILT_IN


def test_the_file_of_the_data_folder_and_another_one(tmp_path: Path) -> None:
    (tmp_path / "stations.toml").write_text(BALCONY, encoding="utf-8")
    assert load(tmp_path).stations.all[4].endpoint == "balcony"
    (tmp_path / "other.toml").write_text("# nothing")
    assert load(tmp_path, STATIONS=str(tmp_path / "other.toml")).stations.all == BUILT_IN.all


def test_a_file_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, STATIONS=f"{tmp_path}/none.toml")
    assert str(caught.value) == (
        f"FLASK10X_STATIONS: there is no file {tmp_path}/none.toml; flask10x stations init makes it"
    )
    with pytest.raises(SettingsError, match="FLASK10X_STATIONS is '': a file is needed"):
        load(tmp_path, STATIONS="")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "stations.toml").mkdir()
    with pytest.raises(SettingsError) as caught:
        load(tmp_path)
    assert str(caught.value) == f"cannot read {tmp_path}/stations.toml: Is a directory"


@pytest.mark.parametrize(
    ("heading", "instead"),
    [("=HYPERLINK(A1)", "HYPERLINK(A1)"), ("+5V", "5V"), ("-12 V", "12 V"), ("@", "ten")],
)
def test_a_heading_that_is_a_formula_is_named_and_refuses_nothing(
    tmp_path: Path, heading: str, instead: str
) -> None:
    """Earlier versions took it, and a service that does not start loses readings."""
    text = f'[stations.b.measurements.ten]\nunit = ""\ncsv_header = "{heading}"\n'
    (tmp_path / "stations.toml").write_text(text, encoding="utf-8")
    stations = load(tmp_path).stations
    assert stations.by_endpoint["b"].csv_header[1] == heading
    assert station_file.formula_headings(stations) == [
        f"{tmp_path}/stations.toml: stations.b.measurements.ten: csv_header is {heading!r},"
        f" which a spreadsheet takes for a formula; {instead!r} is none"
    ]


def test_a_heading_may_be_a_number_below_zero(tmp_path: Path) -> None:
    text = '[stations.b.measurements.ten]\nunit = ""\ncsv_header = "-10"\n'
    (tmp_path / "stations.toml").write_text(text, encoding="utf-8")
    stations = load(tmp_path).stations
    assert stations.by_endpoint["b"].csv_header[1] == "-10"
    assert station_file.formula_headings(stations) == []


def test_who_is_named_elsewhere_is_looked_for_among_all_stations(tmp_path: Path) -> None:
    (tmp_path / "stations.toml").write_text(BALCONY, encoding="utf-8")
    partial = {
        "": {"balcony"},
        "reject": set(),
        "data=accept": {"data", "balcony"},
        "accept,balcony=reject": {"data", "data2", "data3", "data4"},
    }
    for value, accepted in partial.items():
        values = {"PARTIAL_READINGS": value} if value else {}
        assert load(tmp_path, **values).partial_readings == accepted
    with pytest.raises(SettingsError, match=r"\(data, data2, data3, data4, balcony\)"):
        load(tmp_path, PARTIAL_READINGS="balkony=accept")


# Mistakes

STATION = "[stations.balcony]\n"
CO2 = "[stations.balcony.measurements.co2]\nunit = 'ppm'\n"
NO_TEXT = "a text of 1 to 64 characters is needed, in one line, no blank at either end"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("lable = 'x'", "lable: unknown key (did you mean label?)"),
        ("x = 1", "x: unknown key"),
        ("measurement = 1", "measurement: unknown key (did you mean measurements?)"),
        ("label = ' x'", f"label: is ' x': {NO_TEXT}"),
        ("label = ''", f"label: is '': {NO_TEXT}"),
        ('label = "a\\nb"', f"label: is 'a\\nb': {NO_TEXT}"),
        ('label_ja = "\\u202e"', f"label_ja: is '\\u202e': {NO_TEXT}"),
        ("label = 5", f"label: is 5: {NO_TEXT}"),
        ("csv_file = 'a/b.csv'", "csv_file: is 'a/b.csv': a name such as Balcony.csv is needed"),
        ("csv_file = 'b.txt'", "csv_file: is 'b.txt': a name such as Balcony.csv is needed"),
        ("csv_file = 'bedroomENV.csv'", "csv_file: data2 has the same"),
        ("interval_sec = 0", "interval_sec: is 0: a whole number from 1 to 1000000 is needed"),
        ("interval_sec = 1.5", "interval_sec: is 1.5: a whole number from 1 to 1000000"),
        ("interval_sec = true", "interval_sec: is True: a whole number from 1 to 1000000"),
        ("retention_days = 29", "retention_days: is 29: a whole number of days from 30 to 36500"),
        ("retention_days = '90'", "retention_days: is '90': a whole number of days from 30"),
        ("repeat_window_sec = -1", "repeat_window_sec: is -1: a whole number from 0 to 86400"),
        (
            "partial = 'accepted'",
            "partial: is 'accepted': one of reject, accept is needed (did you mean accept?)",
        ),
        ("partial = true", "partial: is True: one of reject, accept is needed"),
        ("ambient_channel = 'x'", "ambient_channel: is 'x': the number of a channel is needed"),
        ("ambient_channel = true", "ambient_channel: is True: the number of a channel is needed"),
        ("mqtt_topic = 'home/#'", "mqtt_topic: is 'home/#': a topic such as home/balcony"),
        ("influx = ''", f"influx: is '': {NO_TEXT}"),
        ("influx_tags = 'x'", "influx_tags: is 'x': tags such as { node = "),
        ("influx_tags = { node = 1 }", f"influx_tags: is 1: {NO_TEXT}"),
        ("influx_tags = { node = 'x' }", "influx_tags: needs the key influx, which is missing"),
        ("outside = 1", "outside: is 1: true or false is needed"),
        ("altitude_m = 801", "altitude_m: is 801: metres above sea level from -430 to 800"),
        ("altitude_m = '35'", "altitude_m: is '35': metres above sea level from -430 to 800"),
        ("altitude_m = true", "altitude_m: is True: metres above sea level from -430 to 800"),
        ("order = 0", "order: is 0: a whole number from 1 to 10000 is needed"),
        ("icon = 'frige'", "icon: is 'frige': one of living, bedroom, kitchen, bath, study,"),
        ("tile_main = 'CO2'", "tile_main: is 'CO2': small letters a to z, digits"),
        ("tile_main = 'co'", "tile_main: the station has no measurement co (did you mean co2?)"),
        ("tile_second = 'x'", "tile_second: the station has no measurement x"),
        ("tile_main = 'co2'\ntile_second = 'co2'", "tile_second: tile_main has the same"),
    ],
)
def test_a_wrong_key_of_a_station(line: str, message: str) -> None:
    (mistake,) = mistakes(f"# 1\n{STATION}# 3\n{line}\n{CO2}")
    last = 4 + line.count("\n")
    assert mistake.startswith(f"line {last}: [stations.balcony] {message}")


def test_a_tile_shows_nothing_hidden() -> None:
    text = f"{STATION}tile_main = 'co2'\n{CO2}hidden = true\n"
    assert mistakes(text) == ["line 2: [stations.balcony] tile_main: co2 is hidden"]


def test_pages_have_an_order_of_their_own() -> None:
    text = (
        "[stations.data4]\norder = 1\n[stations.data]\norder = 20\n[stations.data2]\norder = 20\n"
    )
    read = station_file.parse(text.encode(), FILE)
    assert [one.endpoint for one in read.ordered] == ["data4", "data", "data2", "data3"]
    assert read.all == tuple(read.by_endpoint[one.endpoint] for one in BUILT_IN.all)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("pat = 'x'", "pat: unknown key (did you mean path?)"),
        ("path = 'a..b'", "path: is 'a..b': the name of a field is needed, dots between"),
        ("path = 'a b'", "path: is 'a b': the name of a field is needed"),
        (f"path = '{'x' * 65}'", "path: is "),
        ("aliases = 'x'", "aliases: is 'x': a list such as "),
        ("aliases = [1]", "aliases: is 1: the name of a field is needed"),
        ("aliases = ['co2.value']", "aliases: co2.value is taken by co2"),
        ("quantity = 'Air'", "quantity: is 'Air': small letters a to z, digits and single _"),
        ("minimum = '0'", "minimum: is '0': a number is needed"),
        ("minimum = nan", "minimum: is nan: a number is needed"),
        ("maximum = false", "maximum: is False: a number is needed"),
        ("csv_header = 'a,b'", "csv_header: is 'a,b': a heading without commas"),
        ("csv_header = 'current_time'", "csv_header: is 'current_time': a heading"),
        ("ambient = 'd9'", "ambient: is 'd9': one of d1, d2, d3, d4, d5, d6, d7, d8 is needed"),
        ("influx = 5", f"influx: is 5: {NO_TEXT}"),
        ("faults = 5", "faults: is 5: a list such as"),
        ("faults = [5]", "faults: is 5: a table is needed"),
        ("faults = [{ value = 1 }]", "faults.sensor: is missing"),
        ("faults = [{ value = '1', sensor = 'x' }]", "faults.value: is '1': a number is needed"),
        ("faults = [{ value = 1, sensor = 'x', code = 'y' }]", "faults.code: unknown key"),
        (
            "faults = [{ value = 1, sensor = 'x', reason = 'sensor_silence' }]",
            "faults.reason: is 'sensor_silence': one of fault_value, fault_value_kept,"
            " sensor_silent, program_silent, after_power_on is needed"
            " (did you mean sensor_silent?)",
        ),
        (
            "faults = [{ value = 1, sensor = 'x', reason = 'after_power_on', warning_only = false"
            " }]",
            "faults.reason: after_power_on goes with warning_only = true",
        ),
        (
            "faults = [{ value = 1, sensor = 'x' }, { value = 1.0, sensor = 'y' }]",
            "faults: 1 is there twice",
        ),
        ("hidden = 'yes'", "hidden: is 'yes': true or false is needed"),
        ("bands = 5", "bands: is 5: a list such as [{ above = 1000, label = "),
        (f"bands = {[{}] * 9}", "bands: is [{}, {}, "),
        ("bands = [5]", "bands: is 5: a table is needed"),
        ("bands = [{ above = 1 }]", "bands.label: is missing"),
        ("bands = [{ label = 'x' }]", "bands: one of above and below is needed"),
        (
            "bands = [{ above = 2, below = 1, label = 'x' }]",
            "bands: one of above and below is needed",
        ),
        ("bands = [{ over = 1, above = 1, label = 'x' }]", "bands.over: unknown key"),
        ("bands = [{ above = '1', label = 'x' }]", "bands.above: is '1': a number is needed"),
        (
            "bands = [{ above = 1, label = 'x', level = 'warn' }]",
            "bands.level: is 'warn': one of notice, warning is needed (did you mean warning?)",
        ),
        (
            "bands = [{ above = 1, label = 'x' }, { above = 1.0, label = 'y' }]",
            "bands: above = 1 is there twice",
        ),
    ],
)
def test_a_wrong_key_of_a_measurement(line: str, message: str) -> None:
    (mistake,) = mistakes(f"{STATION}{CO2}# 4\n{line}\n")
    assert mistake.startswith(f"line 5: [stations.balcony.measurements.co2] {message}")


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        ("C", "is 'C': write it \"°C\""),
        ("℃", "is '℃': write it \"°C\""),
        ("HPA", "is 'HPA': write it \"hPa\""),
        ("ohm", "is 'ohm': write it \"Ω\""),
        ("5m", "is '5m': a unit begins with no digit, sign or point"),
        ("x" * 17, f"is '{'x' * 17}': a text of 1 to 16 characters"),
    ],
)
def test_a_wrong_unit(unit: str, message: str) -> None:
    (mistake,) = mistakes(f"[stations.x.measurements.y]\nunit = '{unit}'")
    assert mistake.startswith(f"line 2: [stations.x.measurements.y] unit: {message}")


@pytest.mark.parametrize("unit", ["", "lx", "µg/m³", "kPa", "mV", "°F", "Mbar", "%"])
def test_a_unit_that_is_not_converted_is_a_text(unit: str) -> None:
    (station,) = stations(f"[stations.x.measurements.y]\nunit = '{unit}'")
    assert station.measurements[0].unit == unit


ENDPOINT_WANTED = "small letters a to z, digits, - and _ are needed, a letter first, 32 at most"
COLUMN_WANTED = "small letters a to z, digits and single _ are needed, a letter first, 32 at most"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[station.x]", ["line 1: station: unknown key (did you mean stations?)"]),
        ("stations = 5", ["line 1: stations: is 5: a table is needed"]),
        ("[[stations]]", ["line 1: stations: is [{}]: a table is needed"]),
        ("[stations]\nx = 5", ["line 2: [stations] x: is 5: a table is needed"]),
        (
            "\n[stations.x]",
            [
                "line 2: [stations.x] measurements: the station has no measurement:"
                " write [stations.x.measurements.temperature]"
            ],
        ),
        (
            "[stations.x.measurements]\ny = 'ppm'",
            ["line 2: [stations.x.measurements] y: is 'ppm': a table is needed"],
        ),
        (
            "[stations.x.measurements.y]",
            [
                "line 1: [stations.x.measurements.y] unit: is missing;"
                ' write unit = "" for a number without a unit'
            ],
        ),
        (
            "[stations.X.measurements.y]\nunit = ''",
            [f"line 1: [stations.X] {ENDPOINT_WANTED} (did you mean x?)"],
        ),
        (
            "[stations.'a b'.measurements.y]\nunit = ''",
            [f"line 1: [stations.a b] {ENDPOINT_WANTED} (did you mean a_b?)"],
        ),
        (
            "[stations.'居間'.measurements.y]\nunit = ''",
            [f"line 1: [stations.居間] {ENDPOINT_WANTED}"],
        ),
        (
            "[stations.history.measurements.y]\nunit = ''",
            ["line 1: [stations.history] /history is an address of the service"],
        ),
        (
            "[stations.x.measurements.Temp]\nunit = ''",
            [f"line 1: [stations.x.measurements.Temp] {COLUMN_WANTED} (did you mean temp?)"],
        ),
        (
            "[stations.x.measurements.a__b]\nunit = ''",
            [f"line 1: [stations.x.measurements.a__b] {COLUMN_WANTED} (did you mean a_b?)"],
        ),
        (
            "[stations.x.measurements.hour]\nunit = ''",
            ["line 1: [stations.x.measurements.hour] hour is a name that the database uses"],
        ),
        (
            "[stations.data]\ncsv_file = 'data.csv'",
            ["line 2: [stations.data] csv_file: must stay 'PicodataX.csv' at a built-in station"],
        ),
        (
            "[stations.data.measurements.pressure]\nunit = 'kPa'",
            [
                "line 2: [stations.data.measurements.pressure] unit: must stay 'hPa' at a built-in"
                " station"
            ],
        ),
        (
            "[stations.data.measurements.pressure]\nminimum = 2000",
            [
                "line 2: [stations.data.measurements.pressure] minimum: is 2000, not below"
                " maximum 2000"
            ],
        ),
        (
            "[stations.x.measurements.co2]\nunit = '%'",
            [
                "line 2: [stations.x.measurements.co2] unit: the column co2 has 'ppm' at data2",
            ],
        ),
        (
            "[stations.x.measurements.co2]\nunit = 'ppm'\nquantity = 'gas'",
            ["line 3: [stations.x.measurements.co2] quantity: the column co2 has 'co2' at data2"],
        ),
        (
            "[stations.x.measurements.t]\nunit = '°F'\nquantity = 'temperature'",
            ["line 2: [stations.x.measurements.t] unit: the quantity temperature has '°C' at data"],
        ),
        (
            "[stations.x.measurements.a]\nunit = ''\n"
            "[stations.x.measurements.b]\npath = 'a'\nunit = ''",
            ["line 4: [stations.x.measurements.b] path: a is taken by a"],
        ),
        (
            "\n[stations\n",
            ["line 2: Expected ']' at the end of a table declaration: [stations"],
        ),
        ("a = 1\na = 2", ["line 2: Cannot overwrite a value: a = 2"]),
        (
            "# 1\n[stations.data2]\n[stations.data]\n[stations.data2]\npartial = 'accept'",
            ["line 4: [stations.data2] is on line 2 already: write the keys there"],
        ),
        (
            "[stations.x.measurements.lux]\n  unit = lx # °",
            ['line 2: unit = lx # °: a text needs straight quotes around it, as "hPa" has'],
        ),
        (
            "[stations.x]\nlabel = ”Terrace”",
            ['line 2: label = ”Terrace”: a text needs straight quotes around it, as "hPa" has'],
        ),
        ("a = 0x\n", ["line 1: Expected newline or end of document after a statement: a = 0x"]),
        ("a = [1,\n\n", ["line 3: Invalid value"]),
    ],
)
def test_a_wrong_file(text: str, message: list[str]) -> None:
    assert mistakes(text) == message


def test_a_file_that_is_no_text() -> None:
    for written, message in (
        (b"# 1\n# \xff", "line 2: the text is not UTF-8"),
        (b"#" * 1_000_001, "line 1: it has more than 1000000 bytes"),
        (b"a = " + b"[" * 100_000, "line 1: it is nested too deeply"),
    ):
        with pytest.raises(StationsError) as caught:
            station_file.parse(written, FILE)
        assert caught.value.mistakes == [f"{FILE}: {message}"]


TWO = """[stations.x]
{x}
[stations.x.measurements.a]
unit = ""
{a}
[stations.x.measurements.b]
unit = ""
{b}
[stations.y]
{y}
[stations.y.measurements.a]
unit = ""
"""


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"x": "ambient_channel = 7", "y": "ambient_channel = '7'"},
            "line 10: [stations.y] ambient_channel: x has the same",
        ),
        (
            {"x": "mqtt_topic = 'a/b'", "y": "mqtt_topic = 'a/b'"},
            "line 10: [stations.y] mqtt_topic: x has the same",
        ),
        (
            {
                "x": "influx = 'm'\ninflux_tags = { a = '1', b = '2' }",
                "y": "influx_tags = { b = '2', a = '1' }\ninflux = 'm'",
            },
            "line 12: [stations.y] influx: x has the same",
        ),
        ({"x": "csv_file = 'Y.csv'"}, "line 9: [stations.y] csv_file: x has the same"),
        (
            {"a": "csv_header = 'b'"},
            "line 6: [stations.x.measurements.b] csv_header: a has the same",
        ),
        (
            {"a": "ambient = 'd1'", "b": "ambient = 'd1'"},
            "line 8: [stations.x.measurements.b] ambient: a has the same",
        ),
        (
            {"a": "influx = 'b'"},
            "line 6: [stations.x.measurements.b] influx: a has the same",
        ),
        (
            {"b": "path = 'a.b'"},
            "line 8: [stations.x.measurements.b] path: a.b is taken by a",
        ),
        (
            {"a": "aliases = ['c']", "b": "aliases = ['c']"},
            "line 8: [stations.x.measurements.b] aliases: c is taken by a",
        ),
        (
            {"a": "partial_aliases = ['c']", "b": "partial_aliases = ['d', 'c']"},
            "line 8: [stations.x.measurements.b] partial_aliases: a has the same",
        ),
    ],
)
def test_what_two_must_not_have_alike(values: dict[str, str], message: str) -> None:
    text = TWO.format(**dict.fromkeys("xaby", "") | values)
    assert mistakes(text) == [message]


def test_two_may_have_one_influx_with_other_tags() -> None:
    tags = {"x": "influx = 'm'\ninflux_tags = { a = '1' }", "y": "influx = 'm'"}
    assert len(stations(TWO.format(**dict.fromkeys("ab", ""), **tags))) == 2


def test_all_mistakes_are_said_in_the_order_of_the_file() -> None:
    result = mistakes(
        "[stations.x.measurements.hour]\n"  # 1, and no unit
        "minimum = 'a'\n"  # 2
        "[stations.x]\n"
        "lable = 'b'\n"  # 4
        "interval_sec = 0\n"  # 5
        "[stations.y]\n"  # 6
        "[other]\n"  # 7
    )
    assert [mistake.partition(":")[0] for mistake in result] == [
        *("line 1", "line 1", "line 2", "line 4", "line 5", "line 6", "line 7")
    ]


def test_a_changed_fixed_key_is_reported_beside_other_mistakes() -> None:
    result = mistakes(
        "[stations.data]\n"
        "label = 3\n"
        "csv_file = 'Foo.csv'\n"  # 3, fixed
        "[stations.data.measurements.pressure]\n"
        "minimum = 'a'\n"
        "unit = 'kPa'\n"  # 6, fixed
        "path = 'p'\n"  # 7, fixed
    )
    assert [mistake.partition(":")[0] for mistake in result] == [
        *("line 2", "line 3", "line 5", "line 6", "line 7")
    ]
    fixed = [mistake for mistake in result if "must stay" in mistake]
    assert [mistake.partition(":")[0] for mistake in fixed] == ["line 3", "line 6", "line 7"]


def test_a_name_that_could_confuse_a_terminal_is_shown_as_an_escape() -> None:
    (mistake,) = mistakes('[stations.x]\n"\\u001b[2J" = 1\n[stations.x.measurements.y]\nunit=""')
    assert mistake == "line 2: [stations.x] '\\x1b[2J': unknown key"


def test_how_many_there_may_be() -> None:
    entry = "[stations.s{}.measurements.a]\nunit = ''\n"
    assert len(stations("".join(map(entry.format, range(196))))) == 196
    (mistake,) = mistakes("".join(map(entry.format, range(197))))
    assert mistake == "line 1: [stations] more than 200 stations"
    entry = "[stations.x.measurements.a{}]\nunit = ''\n"
    assert len(stations("".join(map(entry.format, range(16))))[0].columns) == 16
    (mistake,) = mistakes("".join(map(entry.format, range(17))))
    assert mistake == "line 1: [stations.x.measurements] more than 16 measurements"
    columns = "".join(f"[stations.s{n // 16}.measurements.c{n}]\nunit = ''\n" for n in range(190))
    assert len(stations(columns)) == 12
    (mistake,) = mistakes(columns + "[stations.last.measurements.c190]\nunit = ''\n")
    assert mistake.startswith("line 1: [stations] more than 200 columns")


def test_the_longest_reading_has_room_in_the_queue() -> None:
    assert station_file.LINE_BYTES == shared_queue.LINE_BYTES
    entry = "[stations.x.measurements.measurement_with_a_long_name_{}]\nunit = ''\npath = '{}'\n"
    shorter = "".join(entry.format(number, f"{number}{'x' * 24}") for number in range(10, 26))
    assert len(stations(shorter)) == 1
    (mistake,) = mistakes(shorter.replace("x" * 24, "x" * 25))
    message = "line 1: [stations.x.measurements] paths and names are "
    assert mistake.startswith(message)
    assert mistake.endswith(" bytes too long, all together")


# Names that are taken


def test_no_column_of_another_table_is_forgotten() -> None:
    taken = {
        column.name
        for table in metadata.tables.values()
        for column in table.columns
        if table.name != "readings" or column.name not in BUILT_IN.columns
    }
    assert taken <= RESERVED_COLUMNS


def test_the_names_of_all_routes_are_reserved_and_no_others(app: Flask) -> None:
    first = {rule.rule.split("/")[1].partition(".")[0] for rule in app.url_map.iter_rules()}
    # What writers to InfluxDB ask before they write.
    # These two are only asked for: a station of that name is posted to.
    ours = first - {"", "events", "health", *BUILT_IN.by_endpoint}
    assert ours | {"ping", "query"} == RESERVED_ENDPOINTS


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("name", ["events", "health"])
def test_a_station_may_have_the_name_of_what_is_only_asked_for(
    make_app: MakeApp, make_settings: MakeSettings, tmp_path: Path, name: str
) -> None:
    (tmp_path / "stations.toml").write_text(
        f'[stations.{name}.measurements.level]\nunit = ""\n', encoding="utf-8"
    )
    schema.upgrade(make_settings())
    client = make_app().test_client()
    assert client.post(f"/{name}", json={"level": 1}).status_code == 200
    # Whether or not the writer runs.
    assert client.get(f"/{name}").status_code in (200, 503)


# A value of each kind that TOML has.
VALUES = (
    *("5", "-0.5", "nan", "true", '""', '"a.b"', "[]", '["a", 1]', "{}", "{ a = 1 }"),
    *("1979-05-27", "07:32:00", "[[1], [2]]", "[{ value = 1 }]", '"\\u0000"', "0x10"),
)


@given(st.integers(0, BALCONY.count(" = ") - 1), st.sampled_from(VALUES))
def test_any_value_of_a_key_is_accepted_or_named_with_its_line(number: int, value: str) -> None:
    lines = BALCONY.split("\n")
    keys = [at for at, line in enumerate(lines) if re.match(r"\w+ = [^\[]", line)]
    at = keys[number % len(keys)]
    lines[at] = f"{lines[at].partition(' = ')[0]} = {value}"
    try:
        assert stations("\n".join(lines))
    except StationsError as error:
        assert f"{FILE}: line {at + 1}: " in str(error)
