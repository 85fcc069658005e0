"""A setting in the lists of all settings: `deploy/flask10x.env` and the tables of the documents.

`python -m tests.support.setting_lists` writes what a new setting lacks there: its default, its
values and what it does, as `Settings` has them. What is there already stays: a row may say more.
"""

import re
from pathlib import Path
from typing import Any

from flask10x.config import settings as settings_module
from flask10x.config.environment_file import SERVICE_DATA_DIR
from flask10x.config.readers import SCHEMAS, WrongEntry
from flask10x.config.settings import PREFIX, READERS, ROWS, Settings
from flask10x.translation import Language, speaking, translation

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "deploy" / "flask10x.env"
NONE: dict[Language, str] = {"en": "none", "ja": "なし"}


def pages() -> dict[Path, Language]:
    """The documents with the tables."""
    return {
        ROOT / "docs" / "en" / "reference" / "settings.md": "en",
        ROOT / "docs" / "ja" / "reference" / "settings.md": "ja",
    }


def of_the_service() -> Settings:
    """The defaults, as the service has them."""
    return settings_module.load({f"{PREFIX}DATA_DIR": str(SERVICE_DATA_DIR)})


def values_of(name: str, language: Language) -> str:
    """What a setting may be: its limits, its words, or what its reader says is needed."""
    schema: Any = SCHEMAS[READERS[name]]
    first = schema.get("anyOf", [schema])[0]
    if "minimum" in first:
        return f"`{first['minimum']}`–`{first['maximum']}`"
    if first.get("type") == "boolean":
        return "`true`, `false`"
    if "enum" in first:
        return ", ".join(f"`{word}`" for word in first["enum"])
    try:
        with speaking(language):
            READERS[name](None)
    except WrongEntry as error:
        return error.needed
    return ""


def in_environment(text: str) -> str:
    """The environment file, with a line for each setting."""
    defaults, before = of_the_service(), "DATA_DIR"
    for row in ROWS:
        name = row.name.upper()
        if f"\n#{PREFIX}{name}=" not in text:
            about = row.metadata["about"]
            lines = f"# {about}\n# {translation('ja')(about)}\n"
            lines += f"#{PREFIX}{name}={defaults.text_of(row.name)}\n"
            text = _after(rf"#{PREFIX}{before}=.*\n", text, lines)
        before = name
    return text


def in_document(text: str, language: Language) -> str:
    """The page of the settings, with a row for each of them."""
    defaults, before, t = of_the_service(), "DATA_DIR", translation(language)
    for row in ROWS:
        name = row.name.upper()
        if f"\n| `{PREFIX}{name}` |" not in text:
            default = defaults.text_of(row.name)
            cells = [f"`{PREFIX}{name}`", f"`{default}`" if default else NONE[language]]
            cells += [values_of(row.name, language), t(row.metadata["about"])]
            text = _after(rf"\| `{PREFIX}{before}` \|.*\n", text, f"| {' | '.join(cells)} |\n")
        before = name
    return text


def _after(pattern: str, text: str, lines: str) -> str:
    """The text with these lines behind the line of this pattern."""
    match = re.search(pattern, text)
    assert match, pattern
    return text[: match.end()] + lines + text[match.end() :]


def write() -> None:
    """Write what the lists lack."""
    FILE.write_text(in_environment(FILE.read_text(encoding="utf-8")), encoding="utf-8")
    for path, language in pages().items():
        path.write_text(in_document(path.read_text(encoding="utf-8"), language), encoding="utf-8")


if __name__ == "__main__":
    write()
