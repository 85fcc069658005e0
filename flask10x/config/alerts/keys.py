"""The keys of `alerts.toml`: what each may be, and what it becomes.

Without a key a rule or a way has its class's own value (`rules.py`).
"""

from gettext import gettext as _
from typing import get_args

from flask10x.config.alerts import rules, values
from flask10x.config.alerts.rules import Kind, Rule, Way
from flask10x.config.language import Language
from flask10x.config.toml.keys import Key
from flask10x.config.toml.values import number, one_of, switch, whole

# A month; beyond it a length is a mistake rather than a wish.
MAX_MIN = 31 * 24 * 60
MAX_H = 31 * 24
MAX_MESSAGES = 1000
KINDS: list[str] = [*get_args(Kind)]
LANGUAGES: list[str] = [*get_args(Language)]

_LANGUAGE = Key(name="language", field="language", read=one_of(LANGUAGES))
_DAILY_MAX = Key(name="daily_max", field="daily_max", read=whole(1, MAX_MESSAGES))
_STATIONS = Key(name="stations", field="stations", read=values.names)
_STATION = Key(name="station", field="station", read=values.text, needed=True)
_MEASUREMENT = Key(name="measurement", field="column", read=values.text, needed=True)
_FOR = Key(name="for_min", field="for_sec", read=values.minutes(0, MAX_MIN))
_READINGS = Key(name="readings", field="readings", read=whole(1, 100_000))

TOP_KEYS = (
    _LANGUAGE,
    Key(name="base_url", field="base_url", read=values.base_url),
    Key(name="reminder_after_h", field="reminder_after_sec", read=values.hours(1, MAX_H)),
    _DAILY_MAX,
)
QUIET_HOURS_KEYS = (
    Key(name="from", field="start", read=values.clock, needed=True),
    Key(name="to", field="end", read=values.clock, needed=True),
    Key(name="urgent", field="urgent", read=values.rule_names),
)
# What each rule may have, whatever its kind. The first two are read before its kind is known.
RULE_KEYS = (
    Key(name="kind", field="kind", read=one_of(KINDS)),
    Key(name="on", field="on", read=switch),
    Key(name="ways", field="ways", read=values.names),
)
RULES: dict[str, tuple[type[Rule], tuple[Key, ...]]] = {
    "silence": (
        rules.Silence,
        (
            _STATIONS,
            Key(name="after_min", field="after_sec", read=values.minutes(0.5, MAX_MIN)),
        ),
    ),
    "threshold": (
        rules.Threshold,
        (
            _STATION,
            _MEASUREMENT,
            Key(name="above", field="above", read=number),
            Key(name="below", field="below", read=number),
            Key(
                name="clear",
                field="clear",
                read=number,
                needed=True,
                missing=lambda: _(
                    "is missing: the value at which the alert ends; a little away from the limit,"
                    " so that it does not come and go"
                ),
            ),
            _FOR,
        ),
    ),
    "rate": (
        rules.Rate,
        (
            _STATION,
            _MEASUREMENT,
            Key(name="rise", field="rise", read=values.change),
            Key(name="fall", field="fall", read=values.change),
            Key(
                name="within_min",
                field="within_sec",
                read=values.minutes(0.5, 24 * 60),
                needed=True,
            ),
        ),
    ),
    "failed_sensor": (rules.FailedSensor, (_STATIONS, _READINGS)),
    "refused": (
        rules.RefusedSender,
        (
            _STATIONS,
            _READINGS,
            Key(name="within_min", field="within_sec", read=values.minutes(1, 24 * 60)),
        ),
    ),
    "queue": (rules.Queue, (_FOR,)),
    "disk": (
        rules.Disk,
        (Key(name="free_percent", field="free_percent", read=values.between(0.1, 90)),),
    ),
    "database": (rules.DatabaseTrouble, (_FOR,)),
    "export": (
        rules.ExportOverdue,
        (Key(name="after_h", field="after_sec", read=values.hours(1, MAX_H)),),
    ),
    "backup": (
        rules.BackupOverdue,
        (Key(name="after_h", field="after_sec", read=values.hours(1, MAX_H)),),
    ),
}
_WEBHOOK = Key(name="url", field="url", read=values.webhook_url, needed=True)
_SECRET = Key(name="secret_file", field="secret_file", read=values.secret_file)
_COMMAND = Key(name="command", field="arguments", read=values.arguments, needed=True)
_URLS = Key(name="urls_file", field="urls_file", read=values.secret_file, needed=True)
WAY_KEYS = (_LANGUAGE, _DAILY_MAX)
WAYS: dict[str, tuple[type[Way], tuple[Key, ...]]] = {
    "webhook": (rules.Webhook, (_WEBHOOK, _SECRET)),
    "command": (rules.Command, (_COMMAND,)),
    "apprise": (rules.Apprise, (_URLS,)),
}
