"""What administrators have changed, in words."""

import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from flask10x.alerts.subjects import sentence as sentence_of_rule
from flask10x.config import settings as settings_file
from flask10x.runtime.administrators import Change
from flask10x.translation import Translation
from flask10x.web import context
from flask10x.web.pages.setup import alerts_file, changes


def sentence(change: Change, t: Translation) -> str:
    """Return a sentence about the change, and about rejected readings that it lets in."""
    words = changes.SENTENCES.get(_kind(change), "{name}: {path}")
    text = t(words, name=_named(change, t), path=Path(change.path).name)
    if not change.replays or change.undone_ms is not None:
        return text
    if change.stored is None:
        return f"{text} {t('Readings that were refused before are stored within 20 seconds.')}"
    stored = t.plural(
        "{n} reading that was refused before is stored.",
        "{n} readings that were refused before are stored.",
        change.stored,
    )
    return f"{text} {stored}"


def _named(change: Change, t: Translation) -> str:
    """What was changed; a rule, or a setting of the house, as its page calls it."""
    if change.kind.startswith("rule"):
        return _rule(change, t)
    if change.kind != "settings":
        return change.name
    names = {
        f"{settings_file.PREFIX}{name.upper()}": t(key.words)
        for name, key in settings_file.KEYS.items()
    }
    return t.listed([names.get(one, one) for one in change.name.split(", ")])


def _kind(change: Change) -> str:
    """The key of its sentence: a rule or channel that the former file lacks was added."""
    tables = {"rule": "rules", "channel": "channels"}
    if change.kind not in tables or change.name in _before(change, tables[change.kind]):
        return change.kind
    return f"{change.kind}_added"


def _before(change: Change, top: str) -> Mapping[str, Any]:
    """The rules or channels of the former file; empty if it had mistakes."""
    with suppress(tomllib.TOMLDecodeError):
        found = tomllib.loads(change.before or "").get(top, {})
        return found if isinstance(found, dict) else {}
    return {}


def _rule(change: Change, t: Translation) -> str:
    """The rule as it is now, or before it was removed; its name if neither can be read."""
    settings = context.store().settings
    with suppress(OSError):
        file = alerts_file.load(settings)
        row = file.rule(change.name)
        table = _before(change, "rules").get(change.name, {})
        rule = row.rule if row else file.as_if_on(change.name, table)
        if rule is not None:
            return sentence_of_rule(rule, settings.stations, t)
    return change.name
