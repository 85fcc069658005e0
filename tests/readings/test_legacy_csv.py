"""Lines of old files: what is a reading, what is not and why."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask10x.database.insert import InsertRow
from flask10x.errors import ImportRefused
from flask10x.readings.legacy_csv import Block, Layout, LegacyReader, Rejection, header_of
from flask10x.readings.stations import BUILT_IN

TOKYO = ZoneInfo("Asia/Tokyo")
AT = 1_755_993_600_000  # 2025-08-24 09:00:00 in Tokyo
PICO = "current_time,Pressure,Tempereture"


def block_of(block: str | bytes, header: str = PICO, endpoint: str = "data") -> Block:
    layout = Layout(BUILT_IN.by_endpoint[endpoint], header_of(header.encode()))
    return LegacyReader(layout, TOKYO).read(block if isinstance(block, bytes) else block.encode())


def pico(pressure: float | None, temperature: float | None, at: int = AT) -> InsertRow:
    return ("data", at, pressure, temperature)


# The header


@pytest.mark.parametrize(
    "line",
    [
        b"current_time,Pressure,Tempereture\r\n",
        b"current_time,Pressure,Tempereture\n",
        b"\xef\xbb\xbfcurrent_time,Pressure,Tempereture\r\n",
        b'"current_time", "Pressure" ,Tempereture',
    ],
)
def test_headers(line: bytes) -> None:
    assert header_of(line) == ("current_time", "Pressure", "Tempereture")


def test_what_is_no_header() -> None:
    with pytest.raises(ImportRefused, match="its first line is no header: "):
        header_of("current_time,Pressure\n".encode("utf-16"))
    with pytest.raises(ImportRefused, match="its first line is no header: "):
        header_of(b'current_time,"Pressure"\rTempereture\r')


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("", "its first line is empty"),
        (",,", "its first line is empty"),
        ("time\r" * 99, "its header has '"),
        (",".join("abcdefgh"), "'f' and 2 more, which data does not know"),
        ("current_time,CO2,Tempereture", "its header has 'CO2', which data does not know"),
        ("current_time,Pressure,Temperature", "'Temperature', which data does not know; the"),
        ("2025-08-24 09:00:00,1.0,2.0", "its header has '2025-08-24 09:00:00', '1.0', '2.0'"),
        ("current_time,Pressure,Pressure", "its header has a column twice"),
        ("Pressure,Tempereture", "its header needs current_time"),
        ("current_time", "at least one measurement"),
    ],
)
def test_headers_that_do_not_fit(header: str, reason: str) -> None:
    with pytest.raises(ImportRefused, match=reason):
        Layout(BUILT_IN.by_endpoint["data"], header_of(header.encode()))


def test_columns_in_another_order() -> None:
    read = block_of("2.5,2025-08-24 09:00:00,1000.0\r\n", "Tempereture,current_time,Pressure")
    assert read.rows == [pico(1000.0, 2.5)]


def test_a_column_that_the_file_does_not_have() -> None:
    header = "current_time,CO2,Tempereture,Humidity,Pressure"
    read = block_of(
        "2025-08-24 09:00:00,1.0,2.0,,4.0\n2025-08-24 09:00:00,1e0,,,\n", header, "data2"
    )
    assert [row[2:] for row in read.rows] == [
        (1.0, 2.0, None, 4.0, None),
        (1.0, None, None, None, None),
    ]
    layout = Layout(BUILT_IN.by_endpoint["data2"], header_of(header.encode()))
    assert layout.missing == ("GasResistance",)


# Lines


@pytest.mark.parametrize(
    ("line", "reading"),
    [
        ("2025-08-24 09:00:00,1013.25,25.1", pico(1013.25, 25.1)),
        ("2025-08-24T09:00:00.123456,1013.25,-25", pico(1013.25, -25.0, AT + 123)),
        ("2025-08-24 09:00:00,1e-05,+2.5E+3", pico(1e-05, 2500.0)),
        ("2025-08-24 09:00:00,,25.1", pico(None, 25.1)),
        ("2025-08-24 09:00:00,,", pico(None, None)),
        ("2025-08-24 09:00:00", pico(None, None)),
        ("2025-08-24 09:00:00,nan,NaN", pico(None, None)),
        ("2025-08-24 09:00:00,None,null", pico(None, None)),
        ("2025-08-24 09:00:00, 1013.25 , ", pico(1013.25, None)),
        ('"2025-08-24 09:00:00","1013.25",""', pico(1013.25, None)),
        # Outside the ranges, as older rules or a broken sensor gave them.
        ("2025-08-24 09:00:00,-1.0,-127.0", pico(-1.0, -127.0)),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r\r\n"])
def test_readings(line: str, end: str, reading: InsertRow) -> None:
    assert block_of(line + end) == Block(rows=[reading])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2025-08-24 09:00:00,1.0", "2 cells, the header has 3"),
        ("2025-08-24 09:00:00,25,1,2.0", "4 cells, the header has 3"),
        ("2025-08-24 09:00:00,1.02025-08-24 09:00:20,3.0", "Pressure: not a number: '1.02025-"),
        ("2025-08-24 09:00:00,1.0,2.0,", "4 cells, the header has 3"),
        ("2025-08-24 09:00:00,inf,2.0", "Pressure: not a number: 'inf'"),
        ("2025-08-24 09:00:00,1.0,-Infinity", "Tempereture: not a number: '-Infinity'"),
        ("2025-08-24 09:00:00,1e999,2.0", "Pressure: not a finite number: '1e999'"),
        (f"2025-08-24 09:00:00,{'9' * 400},2.0", "Pressure: not a finite number: '999"),
        ("2025-08-24 09:00:00,1_000,2.0", "Pressure: not a number: '1_000'"),
        ("2025-08-24 09:00:00,１２,2.0", "Pressure: not a number: '１２'"),
        ("2025-08-24 09:00:00,1.2.3,2.0", "Pressure: not a number: '1.2.3'"),
        ("2025-08-24 09:00:00,1.0,--", "Tempereture: not a number: '--'"),
        ("2025-08-24 09:00:00,0x10,2.0", "Pressure: not a number: '0x10'"),
        ("2025-08-24 09:00:00,8.5kΩ,2.0", "Pressure: not a number: '8.5kΩ'"),
        ("2025-08-24 09:00:00,1.0,2:0", "Tempereture: not a number: '2:0'"),
        ("24.08.2025 09:00:00,1.0,2.0", "not a time: '24.08.2025 09:00:00'"),
        (",1.0,2.0", "not a time: ''"),
        ("0" * 1001, "longer than 1000 characters"),
        ("\0\0\0\0", "not a time: "),
        ('2025-08-24 09:00:00,"1.0"\r,2.0', "new-line character"),
        ('2025-08-24 09:00:00,"1.0,2.0', "2 cells, the header has 3"),
    ],
)
def test_rejections(line: str, reason: str) -> None:
    read = block_of(f"{line}\r\n2025-08-24 09:00:00,3.0,4.0\r\n")
    (rejection,) = read.rejections
    assert (rejection.line, rejection.raw) == (2, line)
    assert reason in rejection.reason
    assert read.rows == [pico(3.0, 4.0)]


def test_blank_lines_and_repeated_headers_are_nothing() -> None:
    read = block_of(f"\r\n  \n{PICO}\r\n2025-08-24 09:00:00,3.0,4.0\r\n{PICO}\nx\n")
    assert read.rows == [pico(3.0, 4.0)]
    assert read.rejections == [Rejection(7, "not a time: 'x'", "x")]


def test_another_header_ends_the_import() -> None:
    with pytest.raises(ImportRefused, match="line 3 is another header, 'current_time,Tempereture"):
        block_of("2025-08-24 09:00:00,3.0,4.0\ncurrent_time,Tempereture,Pressure\n")


def test_a_torn_last_line() -> None:
    read = block_of("2025-08-24 09:00:00,3.0,4.0\r\n2025-08-24 09:00:20,3.0,6")
    assert read.rows == [pico(3.0, 4.0)]
    torn = Rejection(3, "torn: the line has no end", "2025-08-24 09:00:20,3.0,6")
    assert read.rejections == [torn]


def test_bytes_that_are_no_text_are_kept() -> None:
    read = block_of(b"\xff\xfe2025-08-24 09:00:00,1.0,2.0\n2025-08-24 09:00:00,1.0,\x82\xa0\n")
    assert [r.raw.encode("utf-8", "surrogateescape") for r in read.rejections] == [
        b"\xff\xfe2025-08-24 09:00:00,1.0,2.0",
        b"2025-08-24 09:00:00,1.0,\x82\xa0",
    ]


def test_lines_are_counted_from_page_to_page() -> None:
    reader = LegacyReader(Layout(BUILT_IN.by_endpoint["data"], header_of(PICO.encode())), TOKYO)
    assert [r.line for r in reader.read(b"a\nb\n\n").rejections] == [2, 3]
    assert [r.line for r in reader.read(b"c\n").rejections] == [5]
    assert [r.line for r in reader.read(b"d").rejections] == [6]


def test_the_span_is_in_whole_seconds_and_holds_both_meanings() -> None:
    read = block_of("2025-08-24T09:00:01.250,1,2\n2025-08-24T09:00:00.750,1,2\n")
    assert read.span() == (AT, AT + 1999)
    layout = Layout(BUILT_IN.by_endpoint["data"], header_of(PICO.encode()))
    berlin = LegacyReader(layout, ZoneInfo("Europe/Berlin"))
    ambiguous = berlin.read(b"2025-10-26 02:30:00,1.0,2.0\n")
    assert ambiguous.span() == (1_761_438_600_000, 1_761_442_200_999)
    assert ambiguous.second(1_761_438_600_250) == ambiguous.second(1_761_442_200_750)
    assert ambiguous.second(1_761_438_601_000) == 1_761_438_601
    assert berlin.read(b"2025-10-26 12:00:00,1.0,2.0\n").repeated == {}


def test_a_bad_line_does_not_change_what_those_above_it_mean() -> None:
    layout = Layout(BUILT_IN.by_endpoint["data"], header_of(PICO.encode()))
    read = LegacyReader(layout, ZoneInfo("Europe/Berlin")).read(
        b"2025-10-26 02:30:00,1.0,2.0\n2025-10-26 02:40:00,1.0,2.0\n2025-10-26 2:50:00,1.0,2.0\n"
    )
    assert [row[1] for row in read.rows] == [1_761_438_600_000, 1_761_439_200_000]
    assert [rejection.line for rejection in read.rejections] == [4]


cells = st.sampled_from(["1.0", "-0.5", "", "7", "1e3", "nan", "x", " 2", "1_0", "9" * 320, "\r"])
times = st.sampled_from(
    [
        "2025-08-24 09:00:00",
        "2025-08-24T09:00:00.5",
        "2025-10-26 02:30:00",
        "2025-03-30 02:30:00",
        "",
    ]
)
lines = st.lists(
    st.builds(lambda *parts: ",".join(parts), times, cells, cells) | st.text(max_size=40),
    max_size=8,
)


@given(lines, st.sampled_from(["\n", "\r\n"]))
def test_the_fast_way_reads_what_the_careful_way_reads(result: list[str], end: str) -> None:
    layout = Layout(BUILT_IN.by_endpoint["data"], header_of(PICO.encode()))
    block = "".join(line + end for line in result).encode("utf-8", "surrogatepass")
    zone = ZoneInfo("Europe/Berlin")
    fast = LegacyReader(layout, zone).read(block)
    # A letter in the block keeps it from the fast way.
    careful = LegacyReader(layout, zone).read(block + b"x\n")
    assert fast.rows == careful.rows
    assert fast.rejections == careful.rejections[:-1]
    assert fast.repeated == careful.repeated
