"""The length of a station's longest reading as a line of the queue (`recording/leftover_file`)."""

import json
import sys

from flask10x.readings.stations import Station

# With 19 digits and a sign, which no time and no number of an entry needs.
_LONGEST_INTEGER = -(2**63)
# -2.2250738585072014e-308: no double is longer.
_LONGEST_NUMBER = -sys.float_info.min
_KEY_DIGITS = 32


def longest_line_bytes(station: Station) -> int:
    """The bytes of the longest line: every number at its longest, and a warning of each field.

    A station with more than `recording.shared_queue.LINE_BYTES` has no room in the queue.
    """
    row: dict[str, object] = {"endpoint": station.endpoint}
    row |= dict.fromkeys(("received_at", "arrived_at"), _LONGEST_INTEGER)
    row |= dict.fromkeys(station.columns, _LONGEST_NUMBER)
    line = {
        "number": _LONGEST_INTEGER,
        "row": row,
        "warned": [measurement.path for measurement in station.measurements],
        "arrived_ms": _LONGEST_INTEGER,
        "key": "f" * _KEY_DIGITS,
        "repeat_window_ms": _LONGEST_INTEGER,
    }
    return len(json.dumps(line, separators=(",", ":"))) + len("\n")
