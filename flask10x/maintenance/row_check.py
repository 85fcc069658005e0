"""Checks of the values of rows that may come from anywhere: a backup that somebody has changed.

Tables of this program refuse a value of another type and a missing one. What is refused here they
would take: a page, an export or the next reading would fail because of it, perhaps for ever.
"""

import json
import math
from collections.abc import Callable, Iterable
from functools import partial
from gettext import gettext as _
from typing import Any

from sqlalchemy import Float, Integer, LargeBinary

from flask10x.config.readers import WrongEntry
from flask10x.config.station_keys import COLUMN, ENDPOINT, ENDPOINT_NEEDED, csv_file
from flask10x.maintenance.copying import CopiedRow, CopiedTable
from flask10x.readings.reasons import in_language
from flask10x.readings.times import DAY_MS, FIRST_DATE_MS, HOUR_MS, LAST_DATE_MS
from flask10x.recording.rejected import with_codes
from flask10x.translation import chosen, translation

# What a double and JavaScript hold exactly. The ids that follow must not come to SQLite's end,
# 2^63 - 1, behind which it says that the disk is full.
WHOLE_MAX = 2**53
# Numbers of the file system, which are only compared.
OF_FILES = ("inode", "changed_ns")
TIMES = (
    *("received_at", "arrived_at", "measured_at", "imported_at", "written_at", "undone_at", "at"),
    *("first_ms", "last_ms", "last_received_at"),
)
KINDS_OF_FILES = ("current", "archived")
# Of a file system (man 3 pathconf); Python raises an error for a longer name.
NAME_MAX_BYTES = 255

Check = Callable[[Any], str]
"""Returns what is wrong with a value that is not NULL; empty when nothing is."""


class RowCheck:
    """The checks of one table."""

    def __init__(self, table: CopiedTable) -> None:
        self._table = table
        self._checks = [_check_of(table, name) for name in table.names]

    def wrong(self, rows: Iterable[CopiedRow]) -> dict[CopiedRow, str]:
        """Return those of the rows that can't be taken, each with the reason."""
        rows = list(rows)
        reasons: dict[tuple[int, Any], str] = {}
        for place, check in enumerate(self._checks):
            for value in {row[place] for row in rows} - {None}:
                if reason := check(value):
                    reasons[place, value] = f"{self._table.names[place]}: {reason}"
        wrong = {}
        for row in rows if reasons else ():
            found = [reasons.get(at, "") for at in enumerate(row)]
            if any(found):
                wrong[row] = "; ".join(filter(None, found))
        if self._table.name == "rejected":
            names = [self._table.names.index(name) for name in ("reasons", "hint", "codes")]
            for row in rows:
                if row not in wrong and (reason := _wrong_texts(*(row[at] for at in names))):
                    wrong[row] = reason
        return wrong


def _check_of(table: CopiedTable, name: str) -> Check:
    kind = table.sql.c[name].type
    if isinstance(kind, Float):
        return _wrong_number
    if isinstance(kind, LargeBinary):
        return lambda value: "" if isinstance(value, bytes) else _("bytes are needed")
    if not isinstance(kind, Integer):
        return partial(_wrong_text, table.name, name)
    low, high = -WHOLE_MAX, WHOLE_MAX
    if name in OF_FILES:
        low, high = -(2**63), 2**63 - 1
    elif name in TIMES:
        low, high = FIRST_DATE_MS, LAST_DATE_MS
    elif name == "hour":
        low, high = FIRST_DATE_MS // HOUR_MS, LAST_DATE_MS // HOUR_MS
    elif name == "day":
        low, high = FIRST_DATE_MS // DAY_MS, LAST_DATE_MS // DAY_MS
    elif name == "id":
        low = 1
    elif name.endswith("_id"):
        low = 0
    return partial(_wrong_whole, low, high)


def wrong_sequence(value: Any) -> str:
    """Return what is wrong with the highest id that a table ever had."""
    return _wrong_whole(0, WHOLE_MAX, value)


def _wrong_whole(low: int, high: int, value: Any) -> str:
    # SQLite takes 5.0 for 5.
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if is_whole and low <= value <= high:
        return ""
    return _("a whole number from {low} to {high} is needed").format(low=low, high=high)


def _wrong_number(value: Any) -> str:
    is_number = isinstance(value, (int, float)) and math.isfinite(value)
    return "" if is_number else _("a finite number is needed")


def _wrong_text(table: str, name: str, value: Any) -> str:
    if not isinstance(value, str):
        return _("a text is needed")
    try:
        value.encode()
    except UnicodeEncodeError:
        return _("a text of UTF-8 is needed")
    is_right, needed = True, ""
    # A rejected reading may name any path that a board has sent to.
    if name == "endpoint" and table != "rejected":
        is_right, needed = bool(ENDPOINT.fullmatch(value)), chosen()(ENDPOINT_NEEDED)
    elif (table, name) == ("csv_files", "name"):
        try:
            csv_file(value)
        except WrongEntry as error:
            return chosen()(error.needed)
    elif name in ("path", "file"):
        longest = max(len(part.encode()) for part in value.split("/"))
        is_right = "\0" not in value and longest <= NAME_MAX_BYTES
        needed = _("a path is needed")
    elif name == "columns":
        pairs = [column.partition("=") for column in value.split(",") if column]
        is_right = all(COLUMN.fullmatch(first) and equals for first, equals, _heading in pairs)
        needed = _("columns such as temperature=Temp are needed")
    elif (table, name) == ("csv_files", "kind"):
        is_right, needed = value in KINDS_OF_FILES, _("current, archived or new is needed")
    elif (table, name) == ("corrections", "kind"):
        is_right, needed = value in ("hide", "adjust"), _("hide or adjust is needed")
    return "" if is_right else needed


def _wrong_texts(reasons: Any, hint: Any, codes: Any) -> str:
    """Return what keeps the page from showing why a reading was rejected."""
    try:
        texts, shown_hint = with_codes(json.loads(reasons), hint, codes)
        for text in (*texts, *texts.values(), shown_hint):
            in_language(text, translation("ja")).encode()
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        needed = _("an object of JSON with a text for each reason is needed ({why})")
        return needed.format(why=" ".join(str(error).split()))
    return ""
