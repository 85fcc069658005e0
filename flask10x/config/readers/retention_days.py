"""After how many days readings are removed: a setting, and a key of a station."""

from gettext import gettext as _
from typing import Any

from flask10x.config.toml.values import wrong
from flask10x.errors import wrong_setting

# One digit too few would take away what nobody can bring back. Alerts learn from a week, and people
# look at a month.
LEAST_DAYS = 30
# A century, which is as good as never.
MOST_DAYS = 36_500
NEVER = 0


def setting(place: str, raw: Any) -> int:
    """The setting RETENTION_DAYS; raises SettingsError."""
    try:
        return of_station(int(raw) if isinstance(raw, str) else raw)
    except ValueError:
        raise wrong_setting(place, raw, _wanted()) from None


def of_station(raw: Any) -> int:
    """The key of a station; raises WrongEntry."""
    is_number = isinstance(raw, int) and not isinstance(raw, bool)
    if not is_number or not (raw == NEVER or LEAST_DAYS <= raw <= MOST_DAYS):
        raise wrong(raw, _wanted())
    days: int = raw
    return days


def _wanted() -> str:
    text = _("a whole number of days from {low} to {high} is needed, or 0 to keep all readings")
    return text.format(low=LEAST_DAYS, high=MOST_DAYS)
