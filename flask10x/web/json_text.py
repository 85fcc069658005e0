"""JSON that people can read: Japanese is not escaped."""

import json
from typing import Any

from flask import Response
from flask.json.provider import DefaultJSONProvider

from flask10x.system.wording import CONTROL


class JsonProvider(DefaultJSONProvider):
    """Flask's own, whose answers are UTF-8 that a terminal can show."""

    ensure_ascii = False

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """The object as JSON; what plays tricks on a screen is escaped, as in the log."""
        return _with_control_escaped(super().dumps(obj, **kwargs))


def readable(value: object) -> str:
    """The same for an answer that is not Flask's: the order of the keys is kept."""
    return _with_control_escaped(json.dumps(value, ensure_ascii=False))


def answer(value: object) -> Response:
    """Return it as the answer of a route; the order of the keys is kept."""
    return Response(readable(value) + "\n", mimetype="application/json")


def _with_control_escaped(text: str) -> str:
    """Half a character, which a sender may write as `"\\ud800"`, has no bytes in UTF-8 either.

    Those of ASCII are escaped in strings already; between them they are line ends of Flask's.
    """
    return CONTROL.sub(lambda c: c[0] if c[0] < " " else json.dumps(c[0])[1:-1], text)
