"""The Japanese messages are those of the code, all of them, and the compiled file is theirs."""

import ast
import re
import string
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import polib

from flask10x.readings.reasons import ENGLISH as REASONS
from tests.support.messages import (
    CATALOGUE,
    KEYWORDS,
    NOT_SEEN,
    PACKAGE,
    catalogue_of,
    form,
    read,
    said,
    said_by_click,
    texts_of,
    written,
)

TEXT = CATALOGUE.read_bytes()
ENTRIES = read(TEXT)
MODULES = sorted(PACKAGE.rglob("*.py"))
# Values that are words of Python's; Japanese goes without them.
LEFT_OUT = {
    REASONS["nan_in_json"]: {"what"},
    REASONS["no_such_time"]: {"why"},
    REASONS["other_encoding"]: {"why"},
}


def placeholders(text: str) -> set[tuple[str, str, str]]:
    """Their names, formats and conversions."""
    parts = string.Formatter().parse(text)
    return {(name, how or "", kind or "") for _, name, how, kind in parts if name is not None}


def test_each_message_is_in_the_catalogue_and_none_is_left_over() -> None:
    expected = said() | said_by_click()

    assert expected - texts_of(ENTRIES) == set(), "run `make messages` and translate these"
    assert texts_of(ENTRIES) - expected == set(), "run `make messages`: nothing says these"
    assert list(ENTRIES.obsolete) == []


def test_each_message_is_translated() -> None:
    for message in ENTRIES:
        if not message.id:
            continue
        # Japanese has one form for one thing and for many.
        english = message.id if isinstance(message.id, str) else message.id[-1]
        japanese = form(message)
        assert japanese.strip(), message.id
        # What is written before or after a value stays before or after it.
        assert japanese.endswith("\n") == english.endswith("\n"), message.id
        left_out = {name for name, *_ in placeholders(english) - placeholders(japanese)}
        assert left_out == LEFT_OUT.get(english, set()), message.id
        assert placeholders(japanese) <= placeholders(english), message.id


def test_nothing_waits_for_a_second_look() -> None:
    assert b"fuzzy" not in TEXT


def test_the_files_are_as_make_messages_writes_them() -> None:
    catalogue = catalogue_of(texts_of(ENTRIES), ENTRIES)

    assert written(catalogue) == TEXT
    compiled = polib.pofile(str(CATALOGUE)).to_binary()
    assert CATALOGUE.with_suffix(".mo").read_bytes() == compiled, "run `make messages`"


def test_what_click_says_to_programmers_is_named_once() -> None:
    assert all(NOT_SEEN.isdisjoint((message.id, *message.id)) for message in ENTRIES)


def test_a_message_is_a_plain_text() -> None:
    """An f-string would be another text each time, and a name that is also `_` no message.

    `t` may look up a text that a table has marked by `N_`.
    """
    paths = [path for path in MODULES if not path.is_relative_to(PACKAGE / "web")]
    wrong = [
        f"{path.relative_to(PACKAGE)}:{call.lineno}"
        for path in paths
        for call in calls(nodes(path))
        if _name(call) in KEYWORDS
        for argument in call.args
        if not isinstance(argument, ALLOWED.get(_name(call), NOT_PUT_TOGETHER))
    ]
    for path, function in functions(paths):
        inside = [*ast.walk(function)]
        names = [n for n in inside if isinstance(n, ast.Name) and n.id == "_"]
        is_stored = any(isinstance(name.ctx, ast.Store) for name in names)
        if is_stored and any(_name(call) == "_" for call in calls(inside)):
            wrong.append(f"{path.relative_to(PACKAGE)}: {function.name}")
    assert wrong == []


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Of a module."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def calls(found: Iterable[ast.AST]) -> Iterator[ast.Call]:
    return (node for node in found if isinstance(node, ast.Call))


def functions(paths: list[Path]) -> Iterator[tuple[Path, ast.FunctionDef]]:
    for path in paths:
        for node in nodes(path):
            if isinstance(node, ast.FunctionDef):
                yield path, node


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


NOT_PUT_TOGETHER = (ast.Constant, ast.Name, ast.Attribute, ast.Subscript, ast.Call)
ALLOWED = {"_": (ast.Constant,), "N_": (ast.Constant,)}


# What a user of the command line gets to read -> which argument of the call it is.
READ = {
    **dict.fromkeys(
        (
            *("SettingsError", "SchemaError", "ExportError", "CopyError", "BackupError"),
            *("BackupRunning", "RestoreError", "ImportRefused", "ServiceError", "LockTimeout"),
            *("ClickException", "UsageError", "BadParameter", "Difference", "echo", "bar"),
        ),
        0,
    ),
    "FileOutcome": 1,
    "Finding": 2,
}
# The service speaks English.
OF_COMMANDS = [p for p in MODULES if p.relative_to(PACKAGE).parts[0] not in ("server", "web")]


def test_what_users_of_the_command_line_read_is_a_message() -> None:
    """No sentence is written where it is raised or shown, past the catalogue."""
    bare = []
    for path in OF_COMMANDS:
        for call in calls(nodes(path)):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else _name(call)
            if name in READ and len(call.args) > READ[name]:
                words = _words(call.args[READ[name]])
                if any(map(str.isalpha, words)):
                    bare.append(f"{path.relative_to(PACKAGE)}:{call.lineno}: {words}")
    assert bare == []


def _words(shown: ast.expr) -> str:
    """What is written in a text or an f-string itself, without the name of the program."""
    texts = [shown] if isinstance(shown, ast.Constant) else getattr(shown, "values", [])
    texts = [text for text in texts if isinstance(text, ast.Constant)]
    return "".join(str(text.value) for text in texts).replace("flask10x", "")


# Layers that make sentences for the command line, and what begins a command for the shell, or a
# table or the first line of a TOML file.
SPEAKING = ("commands", "config", "export", "importing", "maintenance")
SHELL = ("flask10x ", "mv ", "rm ", "sudo systemctl ", "{ ", "#:schema ")


def _texts(value: ast.expr | None) -> Iterator[str]:
    """The texts that a value may be; an f-string with `{}` for its values."""
    if isinstance(value, ast.IfExp):
        yield from (*_texts(value.body), *_texts(value.orelse))
    elif isinstance(value, ast.BinOp):
        yield from (*_texts(value.left), *_texts(value.right))
    elif isinstance(value, ast.Tuple):
        yield from (text for part in value.elts for text in _texts(part))
    elif isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
    elif isinstance(value, ast.JoinedStr):
        parts = (p.value if isinstance(p, ast.Constant) else "{}" for p in value.values)
        yield "".join(map(str, parts))


def test_no_sentence_is_put_together_past_the_catalogue() -> None:
    paths = [path for folder in SPEAKING for path in (PACKAGE / folder).rglob("*.py")]
    said_bare = [
        f"{path.relative_to(PACKAGE)}: {text}"
        for path, function in functions(paths)
        for node in ast.walk(function)
        if isinstance(node, ast.Assign | ast.AugAssign | ast.Return | ast.Yield | ast.keyword)
        # The help of an option is translated where it is shown.
        if not (isinstance(node, ast.keyword) and node.arg == "help")
        for text in _texts(node.value)
        if re.search(r"[a-z]{2,} |  ?[a-z]{2,}", text)
        and not text.startswith(SHELL)
        and text not in NOT_SEEN
    ]
    assert said_bare == []
