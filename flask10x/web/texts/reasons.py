"""Why a query of the history, or a reading, is refused, in the reader's language."""

from flask10x.readings.reasons import in_language
from flask10x.translation import Language, translation


def reason_in(language: Language, reason: str) -> str:
    """A reason or a hint, of a query or of a reading, for a page in this language."""
    return in_language(reason, translation(language))
