"""The error of a query that would have taken too long."""

from flask10x.errors import QueryError
from flask10x.readings.reasons import Reason


class QueryTooLong(QueryError):
    """A query looked at more rows than it could in the time that a page gets."""

    def __init__(self, timeout_sec: float) -> None:
        super().__init__({"query": Reason("took_too_long", sec=f"{timeout_sec:g}")})
