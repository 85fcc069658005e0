"""What has changed within an hour, in words."""

from flask10x.readings.rounding import rounded
from flask10x.translation import Translation
from flask10x.web.pages.home.model import Trend


def trend(change: float | None, unit: str, t: Translation) -> Trend | None:
    """Rounded as the value itself is; None when it is not known."""
    if change is None:
        return None
    text = rounded(change, unit)
    if not text.strip("-0."):
        return Trend(direction="level", text=t("steady"))
    if change < 0:
        # A hyphen is short, and the line breaks after it.
        return Trend(direction="down", text=t("{change} in 1 h", change=text.replace("-", "−")))
    return Trend(direction="up", text=t("{change} in 1 h", change=f"+{text}"))
