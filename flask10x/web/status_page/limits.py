"""The limits of the page: those of the rules of alerts, so that both say the same."""

from typing import TypeVar

from flask10x.config.alerts.rules import BackupOverdue, Disk, ExportOverdue, Silence
from flask10x.config.settings import Settings
from flask10x.web.latest.newest import Latest

R = TypeVar("R", Disk, ExportOverdue, BackupOverdue)


def rule_of(settings: Settings, default: R) -> R:
    """The first rule of this kind that is on, else the usual one."""
    kind = type(default)
    return next((rule for rule in settings.alerts.rules if isinstance(rule, kind)), default)


def silence_of(settings: Settings, endpoint: str) -> Silence:
    """The rule that watches this station: one that names it, else one for all, else the usual."""
    rules = [rule for rule in settings.alerts.rules if isinstance(rule, Silence)]
    naming = (rule for rule in rules if endpoint in rule.stations)
    of_all = (rule for rule in rules if not rule.stations)
    return next(naming, None) or next(of_all, None) or Silence()


def is_quiet(settings: Settings, one: Latest) -> bool:
    """Whether it is silent, by its state or because its rule waits for less."""
    after_sec = silence_of(settings, one.station.endpoint).after_sec
    is_past = after_sec is not None and one.age_sec is not None and one.age_sec > after_sec
    return one.state == "silent" or is_past
