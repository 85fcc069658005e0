"""Which of the alerts that are over are asked for."""

import re
from dataclasses import dataclass

from werkzeug.datastructures import MultiDict

from flask10x.errors import QueryError
from flask10x.readings.reasons import Reason

MAX_LIMIT = 1000
# Ids of SQLite's rows.
MAX_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class AskedAlerts:
    """A page of them, the newest first."""

    before: int | None
    """The id of the alert before which it ends; None: it begins with the newest."""
    limit: int


def asked(args: MultiDict[str, str], default_limit: int) -> AskedAlerts:
    """What the query string asks for; raises QueryError that names every wrong parameter."""
    errors = {name: Reason("unknown_parameter") for name in args if name not in ("before", "limit")}
    errors |= {
        name: Reason("given_times", n=len(values))
        for name, values in args.lists()
        if len(values) > 1 and name not in errors
    }
    before = _number(args.get("before", str(MAX_ID)), MAX_ID)
    limit = _number(args.get("limit", str(default_limit)), MAX_LIMIT)
    if before is None:
        errors.setdefault("before", Reason("not_a_cursor"))
    if limit is None:
        errors.setdefault("limit", Reason("whole_number_needed", low=1, high=MAX_LIMIT))
    if errors or limit is None:
        raise QueryError(errors)
    return AskedAlerts(before if "before" in args else None, limit)


def _number(text: str, most: int) -> int | None:
    if re.fullmatch(r"[0-9]{1,19}", text) and 1 <= int(text) <= most:
        return int(text)
    return None
