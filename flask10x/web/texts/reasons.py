"""Why a query of the history, or a reading, is refused, in the reader's language."""

from flask10x.readings import japanese_reasons
from flask10x.readings.reasons import Reason
from flask10x.web.texts import old_reasons
from flask10x.web.texts.catalog import Language


def reason_in(language: Language, reason: str) -> str:
    """A reason or a hint, of a query or of a reading, for a page in this language.

    One without a code comes from a row that was stored before there were codes.
    """
    if language == "en":
        return reason
    if isinstance(reason, Reason):
        return japanese_reasons.text(reason)
    return old_reasons.japanese(reason)
