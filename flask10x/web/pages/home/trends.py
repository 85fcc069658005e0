"""What has changed within an hour, in words."""

from flask10x.readings.rounding import rounded
from flask10x.web.pages.home.model import Trend
from flask10x.web.texts.catalog import Texts


def trend(change: float | None, unit: str, t: Texts) -> Trend | None:
    """Rounded as the value itself is; None when it is not known."""
    if change is None:
        return None
    text = rounded(change, unit)
    if not text.strip("-0."):
        return Trend(direction="level", text=t("home.level"))
    if change < 0:
        # A hyphen is short, and the line breaks after it.
        return Trend(direction="down", text=t("home.change", change=text.replace("-", "−")))
    return Trend(direction="up", text=t("home.change", change=f"+{text}"))
