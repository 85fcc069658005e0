"""The limits of the page: those of the rules of alerts, so that both say the same."""

from typing import TypeVar

from flask10x.config.alerts.rules import BackupOverdue, Disk, ExportOverdue
from flask10x.config.settings import Settings

R = TypeVar("R", Disk, ExportOverdue, BackupOverdue)


def rule_of(settings: Settings, default: R) -> R:
    """The first rule of this kind that is on, else the usual one."""
    kind = type(default)
    return next((rule for rule in settings.alerts.rules if isinstance(rule, kind)), default)
