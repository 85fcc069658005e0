"""The parameters of a query string: each is read, and all that is wrong is said at once.

Those of the history have a reader of their own (`history/parameters.py`).
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from flask import request

from flask10x.errors import QueryError
from flask10x.history.parameters import unknown_name
from flask10x.readings.reasons import Reason, WrongValue

T = TypeVar("T")


class Parameters:
    """The parameters of the request at hand, and what is wrong with them."""

    def __init__(self, *names: str, blank_is_absent: bool = False) -> None:
        """`names` are those that the route takes; a browser sends the empty fields of a form."""
        args = request.args
        self._args = {name: value for name, value in args.items() if value.strip()}
        self.errors: dict[str, str] = {}
        if not blank_is_absent:
            self.errors = {name: Reason("blank") for name in args if name not in self._args}
        for name, values in args.lists():
            if name not in names:
                self.errors[name] = unknown_name("unknown_parameter", name, names)
            elif len(values) > 1:
                self.errors[name] = Reason("given_times", n=len(values))

    def text(self, name: str) -> str | None:
        """Return the text of a parameter; None when it is absent, empty or wrong already."""
        return None if name in self.errors else self._args.get(name)

    def chosen(self, name: str, code: str, names: Sequence[str], default: str) -> str:
        """Return one of the known names; the default when none is given, or a wrong one."""
        text = self.text(name)
        if text is None or text in names:
            return text or default
        self.errors[name] = unknown_name(code, text, names, known=", ".join(names))
        return default

    def parsed(self, name: str, parse: Callable[[str], T]) -> T | None:
        """Return the parsed value; None when it is absent, or wrong and now among the errors."""
        text = self.text(name)
        try:
            return None if text is None else parse(text)
        except WrongValue as error:
            self.errors[name] = error.reason
            return None

    def flag(self, name: str) -> bool:
        """Return whether it is 1, the only value that it can have."""
        if (text := self.text(name)) not in (None, "1"):
            self.errors[name] = Reason("yes_needed")
        return text is not None

    def check(self) -> None:
        """Raise QueryError that names every wrong parameter, if any is wrong."""
        if self.errors:
            raise QueryError(self.errors)
