"""Numbers of the home: rounded by their unit, as the cards of the history are."""

from flask10x.web.cards import CLOSE_UNITS, DIGITS, TELLING_DIGITS
from flask10x.web.home.model import Figure, Trend
from flask10x.web.texts.catalog import Texts

MINUS = "−"


def rounded(value: float, unit: str) -> str:
    """The number alone."""
    if unit in DIGITS:
        text = f"{value:.{DIGITS[unit]}f}"
    elif abs(value) < 1:
        text = f"{value:.{TELLING_DIGITS}g}"
    else:
        text = f"{value:.1f}".removesuffix(".0")
    # Neither `-0.0` nor a hyphen before a number that is read aloud.
    return text.lstrip("-") if float(text) == 0 else text.replace("-", MINUS)


def figure(value: float, unit: str) -> Figure:
    """The number with its unit."""
    return Figure(text=rounded(value, unit), unit=unit, is_close=unit in CLOSE_UNITS)


def trend(change: float | None, unit: str, t: Texts) -> Trend | None:
    """What has changed within an hour; None when that is not known."""
    if change is None:
        return None
    text = rounded(change, unit)
    if not text.strip("0."):
        return Trend(direction="level", text=t("home.level"))
    direction, signed = ("down", text) if change < 0 else ("up", f"+{text}")
    return Trend(direction=direction, text=t("home.change", change=signed))
