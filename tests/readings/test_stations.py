"""The registry against the contract's table, typed by hand."""

from dataclasses import replace

from flask10x.readings.stations import BUILT_IN, Stations, is_shown

CONTRACT = {
    "data": (
        "PicodataX.csv",
        "current_time,Pressure,Tempereture",
        [
            ("pressure", "pressure", "hPa", 0, 2000),
            ("temperature", "temperature", "°C", -50, 150),
        ],
    ),
    "data2": (
        "BedRoomEnv.csv",
        "current_time,CO2,Tempereture,Humidity,Pressure,GasResistance",
        [
            ("co2", "co2", "ppm", 0, 200000),
            ("temperature", "temperature", "°C", -50, 150),
            ("humidity", "humidity", "%", 0, 100),
            ("pressure", "pressure", "hPa", 0, 2000),
            ("gas_res", "gas_resistance", "Ω", 0, None),
        ],
    ),
    "data3": (
        "OutsideEnv.csv",
        "current_time,Temperature-outside,Humidity-outside,Pressure-outside,GasResistance-outside",
        [
            ("temperature", "temperature", "°C", -50, 150),
            ("humidity", "humidity", "%", 0, 100),
            ("pressure", "pressure", "hPa", 0, 2000),
            ("gas_res", "gas_resistance", "Ω", 0, None),
        ],
    ),
    "data4": (
        "LR_env.csv",
        "current_time,CO2,AnalogValue,Voltage,Temperature_DS18B20,Temperature_DHT11,Humidity_DHT11",
        [
            ("mh_z19.co2", "co2", "ppm", 0, 200000),
            ("mq_2.analog_value", "analog_value", "", 0, None),
            ("mq_2.voltage", "voltage", "V", 0, None),
            ("ds18b20.temperature", "temperature_ds18b20", "°C", -50, 150),
            ("dht11.temperature", "temperature_dht11", "°C", -50, 150),
            ("dht11.humidity", "humidity_dht11", "%", 0, 100),
        ],
    ),
}


def test_stations_are_the_contracts() -> None:
    stated = {
        s.endpoint: (
            s.csv_name,
            ",".join(s.csv_header),
            [(m.path, m.column, m.unit, m.minimum, m.maximum) for m in s.measurements],
        )
        for s in BUILT_IN.all
    }
    assert stated == CONTRACT
    assert list(stated) == list(CONTRACT) == list(BUILT_IN.by_endpoint)


def test_columns_are_the_contracts() -> None:
    assert sorted(BUILT_IN.columns) == sorted(
        [
            "co2",
            "temperature",
            "humidity",
            "pressure",
            "gas_resistance",
            "analog_value",
            "voltage",
            "temperature_ds18b20",
            "temperature_dht11",
            "humidity_dht11",
        ]
    )


QUANTITIES = {
    "co2": "co2",
    "temperature": "temperature",
    "humidity": "humidity",
    "pressure": "pressure",
    "gas_resistance": "gas_resistance",
    "analog_value": "analog_value",
    "voltage": "voltage",
    "temperature_ds18b20": "temperature",
    "temperature_dht11": "temperature",
    "humidity_dht11": "humidity",
}


def test_what_each_column_measures() -> None:
    measurements = [m for station in BUILT_IN.all for m in station.measurements]
    assert {m.column: m.quantity for m in measurements} == QUANTITIES
    units = {(m.quantity, m.unit) for m in measurements}
    assert len(units) == len({quantity for quantity, _ in units})


def test_the_known_fault_values() -> None:
    stated = {
        (station.endpoint, measurement.path): [
            (fault.value, fault.warning_only) for fault in measurement.faults
        ]
        for station in BUILT_IN.all
        for measurement in station.measurements
        if measurement.faults
    }
    assert stated == {
        ("data2", "co2"): [(-1, False)],
        ("data4", "mh_z19.co2"): [(-1, False)],
        ("data4", "ds18b20.temperature"): [(-127, False), (85, True)],
    }


def test_a_station_without_a_colour_of_its_own_has_the_next_that_is_free() -> None:
    own = BUILT_IN.all[0]
    stations = Stations(
        (
            *BUILT_IN.all,
            replace(own, endpoint="a", colour=None),
            replace(own, endpoint="b", colour=6),
            replace(own, endpoint="c", colour=None),
            *(replace(own, endpoint=f"e{number}", colour=None) for number in range(6)),
            # One that has a built-in station's changes no other.
            replace(own, endpoint="d", colour=1),
        )
    )
    assert [*stations.colours.values()] == [
        *((1, 0), (2, 0), (3, 0), (4, 0)),
        *((5, 0), (6, 0), (7, 0)),
        # Twelve, then the same again.
        *((8, 0), (9, 0), (10, 0), (11, 0), (12, 0), (1, 1)),
        (1, 0),
    ]
    assert stations.free_colour == 14


def test_a_built_in_station_is_shown_once_it_has_sent_or_is_made_one_of_the_house() -> None:
    study = BUILT_IN.by_endpoint["data4"]
    assert is_shown(study, has_sent=True) and not is_shown(study, has_sent=False)
    # Every station has a place once one of them was moved.
    assert not is_shown(replace(study, order=4), has_sent=False)
    assert is_shown(replace(study, label="Study"), has_sent=False)
    assert is_shown(replace(study, endpoint="kitchen"), has_sent=False)
