"""What messages say in English."""

from flask10x.alerts.texts.text import Wording, Words

_NOTHING_TO_DO_AT_HOME = "Nothing has to be done at once. Tell whoever looks after the server."
_SENSOR = "Look at the sensor: is it plugged in, is a cable loose? Unplug the board for 10 seconds."

WORDS = Words(
    wordings={
        "silence": Wording(
            title="{name}: no data",
            what=("No data has come from {name} since {since}.",),
            known=("The last values: {values}",),
            do="See whether the sensor has power and whether the Wi-Fi works."
            " If so, unplug the sensor for 10 seconds.",
            over="Data comes from {name} again.",
        ),
        "threshold.above": Wording(
            title="{name} too high: {value}",
            later="{name} too high",
            what=(
                "{name} has been above {limit} since {since}; it was {value} when this was"
                " noticed.",
                "{name} has been too high since {since}.",
            ),
            do="See what it is like there. In a room it may help to open a window or to turn the"
            " heating down.",
            over="{name} is as it should be again.",
        ),
        "threshold.below": Wording(
            title="{name} too low: {value}",
            later="{name} too low",
            what=(
                "{name} has been below {limit} since {since}; it was {value} when this was"
                " noticed.",
                "{name} has been too low since {since}.",
            ),
            do="See what it is like there. In a room it may help to close a window or to turn the"
            " heating up.",
            over="{name} is as it should be again.",
        ),
        "rate.rise": Wording(
            title="{name} rises fast",
            what=(
                "{name} has risen from {before} to {value} within {within_sec} ({since}).",
                "{name} rises fast since {since}.",
            ),
            do="See what it is like there.",
            over="{name} does not rise that fast any more.",
        ),
        "rate.fall": Wording(
            title="{name} falls fast",
            what=(
                "{name} has fallen from {before} to {value} within {within_sec} ({since}).",
                "{name} falls fast since {since}.",
            ),
            do="See what it is like there; is a window open, or a heater off?",
            over="{name} does not fall that fast any more.",
        ),
        "failed_sensor": Wording(
            title="{name}: the sensor does not measure",
            what=("{name} has not been measured since {since}; its board is still heard.",),
            known=("The last value: {last_value} ({last_value_at})",),
            do=_SENSOR,
            over="{name} is measured again.",
        ),
        "refused": Wording(
            title="{name}: data cannot be used",
            what=(
                "What {name} sends cannot be used, {readings} times since {since}.",
                "What {name} sends cannot be used since {since}.",
            ),
            known=("The reason: {field}: {reason}",),
            do="It is kept, nothing is lost. Tell whoever looks after the sensor.",
            over="What {name} sends can be used again.",
        ),
        "queue": Wording(
            title="Data is stored too slowly",
            what=(
                "Since {since} data waits to be stored: {waiting} readings when this was noticed.",
                "Since {since} data waits to be stored.",
            ),
            do="If it does not end by itself, the memory card may be failing."
            " Tell whoever looks after the server.",
            over="Data is stored in time again.",
        ),
        "disk": Wording(
            title="The server's disk is nearly full",
            what=(
                "Since {since} little of the server's disk is free: {free_percent} % ({free_bytes})"
                " when this was noticed.",
                "Since {since} the server's disk is nearly full.",
            ),
            known=("At that time it was to be full in about {full_in_days}.",),
            do="Delete what is not needed, or put in a larger card, before it is full:"
            " then nothing can be stored.",
            over="There is room on the server's disk again.",
        ),
        "database": Wording(
            title="Data cannot be stored",
            what=("The server has not been able to store data properly since {since}.",),
            known=("It says: {reason}",),
            do="See whether the disk is plugged in. Do not switch the server off;"
            " tell whoever looks after it.",
            over="Data is stored again.",
        ),
        "export": Wording(
            title="The CSV files are not up to date",
            what=(
                "Data since {oldest_at} is in no CSV file.",
                "New data has come into no CSV file for long.",
            ),
            do=_NOTHING_TO_DO_AT_HOME,
            over="The CSV files are up to date again.",
        ),
        "backup": Wording(
            title="No new backup",
            what=(
                "The newest backup is of {newest_at}.",
                "No backup can be found.",
            ),
            do="If the backups are on a disk or stick of their own: is it plugged in?"
            " If so, tell whoever looks after the server.",
            over="There is a new backup.",
        ),
    },
    frame={
        "recovery": "Over: {title}",
        "reminder": "Still: {title}",
        "lasted": "It began on {since} and was over on {until}, after {span}.",
        "lasts": "It began on {since} and is not over yet.",
        "now": "The value then: {value}",
        "do": "What to do: {do}",
        "limit.title": "No more messages today",
        "limit.body": "On {day} this way has had as many messages as are allowed ({n})."
        " What else happens that day is on the page of alerts only.",
        "test.title": "Flask10X: a test",
        "test.body": "This is a test of the way {way}. Messages of alerts will come here.",
        "service": "The server",
        "time": "{weekday} {day} {month}, {clock}",
        "day": "{weekday} {day} {month}",
        "space": " ",
        "list": ", ",
        "days": "{n} days",
        "hours": "{n} hours",
        "minutes": "{n} minutes",
        "seconds": "{n} seconds",
    },
    stations={"data": "Pico", "data2": "Bedroom", "data3": "Outside", "data4": "Living room"},
    columns={
        "co2": "CO₂",
        "temperature": "Temperature",
        "humidity": "Humidity",
        "pressure": "Pressure",
        "gas_resistance": "Gas resistance",
        "analog_value": "Gas (raw)",
        "voltage": "Voltage",
        "temperature_ds18b20": "Temperature (DS18B20)",
        "temperature_dht11": "Temperature (DHT11)",
        "humidity_dht11": "Humidity (DHT11)",
    },
    weekdays="Mon Tue Wed Thu Fri Sat Sun",
    months="Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
)
