"""Lines of CSV files: the contract's bytes, and what other people's lines say."""

from zoneinfo import ZoneInfo

import pytest

from flask10x.readings.csv_lines import Lines, ParsedLine, header, read
from flask10x.readings.stations import BUILT_IN

TOKYO = ZoneInfo("Asia/Tokyo")
BERLIN = ZoneInfo("Europe/Berlin")
PICO = BUILT_IN.by_endpoint["data"]
AT = 1_756_000_000_000  # 2025-08-24 10:46:40 in Tokyo


def test_rows_out() -> None:
    rows = [
        (1, AT, 1013.25, 25.1),
        (2, AT + 999, 650.0, -0.0),
        (3, AT + 1000, 1e-05, None),
        (4, AT + 60_000, 12561247.871044775, 1e22),
    ]
    assert Lines(TOKYO).bytes(rows) == (
        b"2025-08-24 10:46:40,1013.25,25.1\r\n"
        b"2025-08-24 10:46:40,650.0,-0.0\r\n"
        b"2025-08-24 10:46:41,1e-05,\r\n"
        b"2025-08-24 10:47:40,12561247.871044775,1e+22\r\n"
    )
    assert header(PICO) == b"current_time,Pressure,Tempereture\r\n"


@pytest.mark.parametrize(
    "line",
    [
        b"2025-08-24 10:46:40,1013.25,\r\n",
        b"2025-08-24 10:46:40,1013.25,\n",
        b"2025-08-24T10:46:40.123456,1013.25,\r\n",
        b"2025-08-24 10:46:40,1.01325e3,\r\n",
    ],
)
def test_a_row_is_read_in_any_notation(line: bytes) -> None:
    assert read(PICO, line, TOKYO) == ParsedLine(AT, AT + 999, (1013.25, None))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\r\n",
        b"\0\0\0\r\n",
        b"2025-08-24 10:46:40,1013.25,25.0",
        b"2025-08-24 10:46:40,1013.25\r\n",
        b"2025-08-24 10:46:40,1013.25,25.0,1.0\r\n",
        b"2025-08-24 10:46,1013.25,25.0\r\n",
        b"2025-13-24 10:46:40,1013.25,25.0\r\n",
        b"now,1013.25,25.0\r\n",
        b"current_time,Pressure,Tempereture\r\n",
        b"2025-08-24 10:46:40,\xff,25.0\r\n",
        b"2025-08-24 10:46:40,high,25.0\r\n",
    ],
)
def test_no_row(line: bytes) -> None:
    assert read(PICO, line, TOKYO) is None


def test_a_line_in_a_repeated_hour_covers_both_instants() -> None:
    """2025-10-26 02:30 comes twice in Berlin, an hour apart."""
    result = read(PICO, b"2025-10-26 02:30:00,1.0,2.0\r\n", BERLIN)
    assert result is not None
    assert result.latest_ms - result.earliest_ms == 3_600_999
