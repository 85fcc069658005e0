"""Line protocol: what is read, what is not, and which station a line is of."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask10x.readings.protocols import LineProblem, Point, point_items, points
from tests.support import foreign_requests as sent
from tests.support.balcony import STATIONS

# Lines of the reference of InfluxDB (line protocol; special characters, comments) and of the tests
# of Telegraf's serializer, and what they mean there.
LINES: list[tuple[str, str, object, dict[str, object], int | None]] = [
    (
        'm,t1=v1,t2=v2 f="text",g=42 1556813561098000000',
        "m",
        {"t1": "v1", "t2": "v2"},
        {"f": "text", "g": 42.0},
        1556813561098000000,
    ),
    ("m f=1", "m", {}, {"f": 1.0}, None),
    ("m f=-1.234456e+78", "m", {}, {"f": -1.234456e78}, None),
    ("m f=1i,g=-12485903i,h=12485903u", "m", {}, {"f": 1, "g": -12485903, "h": 12485903}, None),
    ("m a=t,b=TRUE,c=f,d=False", "m", {}, {"a": True, "b": True, "c": False, "d": False}, None),
    (
        'm f="a \\"quoted\\" text, with a \\\\ and a = sign" 5',
        "m",
        {},
        {"f": 'a "quoted" text, with a \\ and a = sign'},
        5,
    ),
    (
        "my\\ m\\,x,tag\\ key=tag\\=value,o=x\\,y f\\ k=1 -5",
        "my m,x",
        {"tag key": "tag=value", "o": "x,y"},
        {"f k": 1.0},
        -5,
    ),
    ("c\\npu,path=C:\\dir value=1", "c\\npu", {"path": "C:\\dir"}, {"value": 1.0}, None),
    ('cpu value="x\ny" 0', "cpu", {}, {"value": "x\ny"}, 0),
    ("  m  f=1   7  \r\n", "m", {}, {"f": 1.0}, 7),
    ("cpu value=18446744073709551615u 0", "cpu", {}, {"value": 18446744073709551615}, 0),
    ("温度,場所=居間 値=25.1", "温度", {"場所": "居間"}, {"値": 25.1}, None),
    # What InfluxDB refuses, and a sensor sends.
    ("m f=nan,g=25.1C", "m", {}, {"f": "nan", "g": "25.1C"}, None),
]


@pytest.mark.parametrize(("line", "measurement", "tags", "fields", "time_ns"), LINES)
def test_a_line(
    line: str, measurement: str, tags: object, fields: dict[str, object], time_ns: int | None
) -> None:
    (point,) = points(line)
    assert isinstance(point, Point)
    assert (point.measurement, point.tags, point.time_ns) == (measurement, tags, time_ns)
    assert point.fields == fields
    assert [type(v) for v in point.fields.values()] == [type(v) for v in fields.values()]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("m", "missing fields"),
        ("m ", "missing fields"),
        ("m 1556813561098000000", "missing fields"),
        ("m,t= f=1", "missing tag value"),
        ("m,t f=1", "missing tag value"),
        (",t=v f=1", "missing measurement"),
        ("m f=", "missing fields"),
        ("m f=1,", "invalid field format"),
        ("m f=1,g", "invalid field format"),
        ('m f="open', "missing fields"),
        ('m f="a"b', "invalid field format"),
        ("m f=1 noon", "bad timestamp"),
        ("m f=1 99999999999999999999", "bad timestamp"),
        ("m f=1 5 6", "bad timestamp"),
    ],
)
def test_a_line_that_cannot_be_read_takes_no_other_with_it(line: str, why: str) -> None:
    first, bad, last = points(f"a x=1\n# {line}\n\n{line}\nb x=2\n")
    assert (first.number, last.number) == (1, 5)
    assert bad == LineProblem(4, f"unable to parse '{line.rstrip()}': {why}")


@pytest.mark.parametrize(
    ("precision", "ns"),
    [
        *(("", 7), ("n", 7), ("ns", 7), ("us", 7_000), ("u", 7_000), ("ms", 7_000_000)),
        *(("s", 7 * 10**9), ("m", 420 * 10**9), ("h", 25_200 * 10**9)),
    ],
)
def test_a_precision_is_the_unit_of_the_times(precision: str, ns: int) -> None:
    (point,) = points("m f=1 7", precision)
    assert isinstance(point, Point)
    assert point.time_ns == ns


def test_an_unknown_precision_is_no_precision() -> None:
    with pytest.raises(KeyError):
        list(points("m f=1", "fortnight"))


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n\t\\#"), min_size=1, max_size=8
).filter(lambda name: name == name.strip())
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(10**17), 10**17),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8"), max_size=8),
)


def escaped(name: str, special: str) -> str:
    return "".join(f"\\{c}" if c in special else c for c in name)


def written(value: bool | float | str) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return f"{value}i"
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)


@given(
    st.lists(
        st.tuples(
            NAMES,
            st.dictionaries(NAMES, NAMES, max_size=3),
            st.dictionaries(NAMES, VALUES, min_size=1, max_size=3),
            st.none() | st.integers(-(10**18), 10**18),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_is_written_by_the_rules_is_read_back(
    given_points: list[tuple[str, dict[str, str], dict[str, bool | float | str], int | None]],
) -> None:
    lines = []
    for measurement, tags, fields, time_ns in given_points:
        series = escaped(measurement, ", ") + "".join(
            f",{escaped(name, ',= ')}={escaped(value, ',= ')}" for name, value in tags.items()
        )
        values = ",".join(f"{escaped(n, ',= ')}={written(v)}" for n, v in fields.items())
        lines.append(f"{series} {values}" + ("" if time_ns is None else f" {time_ns}"))
    read = list(points("\n".join(lines)))
    assert [p for p in read if isinstance(p, LineProblem)] == []
    assert [(p.measurement, p.tags, p.fields, p.time_ns) for p in read if isinstance(p, Point)] == (
        given_points
    )


@given(st.text(st.sampled_from('ab,= \\"\n#1i\r'), max_size=40))
def test_no_text_breaks_the_reader_and_each_line_is_one_thing(body: str) -> None:
    numbers = [point.number for point in points(body)]
    assert numbers == sorted(set(numbers))
    for point in points(body):
        if isinstance(point, Point):
            assert point.measurement and point.fields


def test_lines_of_telegraf_become_readings_with_their_times() -> None:
    items, problems = point_items(STATIONS, sent.TELEGRAF_LINES.decode())
    assert problems == []
    (first_line, first), (second_line, second) = items
    assert (first_line, second_line) == (1, 2)
    # The tag `host` is Telegraf's own and none of ours.
    assert first["data"] == {"temperature": 25.1, "air": {"humidity": 52.5}}
    assert first["measured_at"] == 1795665600.0
    assert second["data"] == {"temperature": 25.2, "air": {"humidity": 53}}
    assert first["id"] != second["id"]
    assert point_items(STATIONS, sent.TELEGRAF_LINES.decode())[0] == items


def test_fields_in_lines_of_their_own_are_one_reading() -> None:
    items, problems = point_items(STATIONS, sent.ESPHOME_LINES.decode(), "s")
    assert problems == []
    ((line, item),) = items
    assert line == 1
    assert item["data"] == {"temperature": 25.1, "air": {"humidity": 52.5}}
    assert item["measured_at"] == 1795665600.0


def test_a_field_that_comes_again_begins_the_next_reading() -> None:
    body = "balcony,node=esp8266-123 temperature=1\nbalcony,node=esp8266-123 temperature=2\n"
    items, _ = point_items(STATIONS, body)
    assert [(line, item["data"]) for line, item in items] == [
        (1, {"temperature": 1.0}),
        (2, {"temperature": 2.0}),
    ]
    assert all("id" not in item and "measured_at" not in item for _, item in items)


def test_a_line_of_no_station_is_named() -> None:
    body = "balcony,node=other temperature=1\ncpu,host=x usage=1\nbalcony,node=esp8266-123 a=1\n"
    items, problems = point_items(STATIONS, body)
    assert [line for line, _ in items] == [3]
    assert problems == [
        LineProblem(
            1, "no station of stations.toml has the measurement and tags 'balcony,node=other'"
        ),
        LineProblem(2, "no station of stations.toml has the measurement and tags 'cpu,host=x'"),
    ]


@pytest.mark.parametrize(
    "body", ["a" * 100_000, 'm f="' + "a" * 100_000, "\n" * 100_000, "m " + "\\ " * 50_000]
)
def test_one_long_name_takes_no_more_memory_than_the_body(body: str) -> None:
    tracemalloc.start()
    list(points(body))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 10 * len(body)
