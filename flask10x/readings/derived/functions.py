"""What formulas need beside + - * /, so that one text of theirs serves Python and SQL."""

import math
from collections.abc import Sequence
from typing import Any, Protocol


class Functions(Protocol):
    """Of numbers here, of expressions of SQL in `history/derived/`."""

    def ln(self, value: Any, /) -> Any:
        """The natural logarithm of a number above 0."""

    def exp(self, value: Any, /) -> Any:
        """e to the power of it."""

    def below(self, value: Any, pieces: Sequence[tuple[float, Any]], otherwise: Any, /) -> Any:
        """What goes with the first limit that the value is below; the limits ascend."""


class _Python:
    def ln(self, value: Any, /) -> Any:
        return math.log(value)

    def exp(self, value: Any, /) -> Any:
        return math.exp(value)

    def below(self, value: Any, pieces: Sequence[tuple[float, Any]], otherwise: Any, /) -> Any:
        return next((piece for limit, piece in pieces if value < limit), otherwise)


PYTHON: Functions = _Python()
"""For plain numbers."""
