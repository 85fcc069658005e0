"""The messages of the code and of click, and the catalogue that has them in Japanese.

`make messages` brings `flask10x.po` up to what the code says, with Babel, and has it
compiled. What Babel does not know of Python and Jinja is read here.
"""

import ast
import inspect
import io
import json
import sys
from collections.abc import Collection, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import jinja2
from babel.messages import Catalog, Message
from babel.messages.extract import extract_from_dir, extract_from_file
from babel.messages.pofile import read_po, write_po

PACKAGE = Path(__file__).resolve().parents[2] / "flask10x"
CATALOGUE = PACKAGE / "locale" / "ja" / "LC_MESSAGES" / "flask10x.po"
# Modules of click whose words a user of these commands can see.
CLICK = ("core", "decorators", "exceptions", "formatting", "parser", "types")
# What click says to programmers, or of what these commands do not have.
NOT_SEEN = {
    "%(prog)s, version %(version)s",
    "(dynamic)",
    "Argument {name!r} takes {nargs} values.",
    "Arguments take exactly one parameter declaration, got {length}: {decls}.",
    "Boolean option {decl!r} cannot use the same flag for true/false.",
    "Choice({choices})",
    "Choose from:\n\t{choices}",
    "Confirm the action without prompting.",
    "Could not determine name for option with declarations {decls!r}",
    "DeprecationWarning: The command {name!r} is deprecated.{extra_message}",
    "DeprecationWarning: The {param_type} {name!r} is deprecated.{extra_message}",
    "Invalid start character for option ({option})",
    "Missing parameter",
    "Missing parameter: {param_name}",
    "Missing {param_type}",
    "Name '{name}' defined twice",
    "No options defined but a name was passed ({name}). Did you mean to declare an argument"
    " instead? Did you mean to pass '--{name}'?",
    "Takes {nargs} values but 1 was given.",
    "Value must be an iterable.",
    "deprecated",
    "env var: {var}",
    "{len_type} values are required, but {len_value} was given.",
    "{value!r} does not match the format {format}.",
    "{value!r} is not a valid UUID.",
    "{value!r} is not a valid boolean. Recognized values: {states}",
}
HEAD = [
    ("Language", "ja"),
    ("MIME-Version", "1.0"),
    ("Content-Type", "text/plain; charset=UTF-8"),
    ("Content-Transfer-Encoding", "8bit"),
    ("Plural-Forms", "nplurals=1; plural=0;"),
]
# Which arguments of which call are a text: `translation.py` has those that are not gettext's own.
GETTEXT: dict[str, Any] = {"_": None, "ngettext": (1, 2)}
KEYWORDS = GETTEXT | {"N_": None, "t": None, "_t": None, "plural": (1, 2), "context": ((1, "c"), 2)}

Found = tuple[int, str | None, Any, list[str]]
Id = str | tuple[str, ...]
Key = tuple[str | None, Id]
"""A text by its context and its English, or its two English forms."""


class Japanese(Catalog):
    """A catalogue whose head has no dates and no version: it changes with its texts only."""

    def __init__(self) -> None:
        super().__init__(locale="ja", fuzzy=False, header_comment="# Made by `make messages`.")

    mime_headers = HEAD  # type: ignore[override]


# What Babel calls, each for the files of one kind


def python(
    file: BinaryIO, keywords: Collection[str], tags: object, options: object
) -> Iterator[Found]:
    """Calls, also in f-strings, `amount(n, "row")`, `help=`, and docstrings of commands.

    Babel's own reader goes by tokens: it omits calls in f-strings before Python 3.12.
    """
    for node in ast.walk(ast.parse(file.read())):
        if isinstance(node, ast.Call):
            yield from _of_call(node, keywords)
        elif isinstance(node, ast.FunctionDef) and _is_command(node):
            documented = ast.get_docstring(node, clean=False)
            assert documented, f"{node.name} has no help"
            yield node.lineno, None, inspect.cleandoc(documented), []


def jinja(
    file: BinaryIO, keywords: Collection[str], tags: object, options: object
) -> Iterator[Found]:
    """Calls in templates, of names and of attributes (`t.plural`), which jinja2's own omits."""
    for call in jinja2.Environment().parse(file.read().decode()).find_all(jinja2.nodes.Call):
        name = getattr(call.node, "name", getattr(call.node, "attr", ""))
        if name in keywords:
            yield call.lineno, name, _texts(call.args, jinja2.nodes.Const), []


def specification(
    file: BinaryIO, keywords: Collection[str], tags: object, options: object
) -> Iterator[Found]:
    """What the page of the API says of the specification: not what is in schemas."""
    document = json.loads(file.read())
    components = document["components"]
    operations = [one for methods in document["paths"].values() for one in methods.values()]
    shown = [*document["tags"], *operations, document["x-station"]]
    shown += [*components["parameters"].values(), *components["responses"].values()]
    for one in (document["x-station"], *operations):
        yield 0, None, one["summary"], []
        shown += [*one.get("parameters", ()), *one["responses"].values()]
    for one in shown:
        # An operation has its description for programs only.
        if "description" in one and "summary" not in one:
            yield 0, None, one["description"], []


def _of_call(call: ast.Call, keywords: Collection[str]) -> Iterator[Found]:
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    texts = _texts(call.args, ast.Constant)
    if name in keywords:
        yield call.lineno, name, texts, []
    elif name == "amount" and texts[1:] != (None,):
        yield call.lineno, "ngettext", (f"{{n}} {texts[1]}", f"{{n}} {texts[1]}s"), []
    for keyword in call.keywords:
        if keyword.arg == "help" and isinstance(keyword.value, ast.Constant):
            yield call.lineno, None, inspect.cleandoc(str(keyword.value.value)), []


def _texts(arguments: Sequence[Any], constant: type) -> tuple[str | None, ...]:
    """Each argument by position, None where it is no text in the source."""
    values = [getattr(a, "value", None) if isinstance(a, constant) else None for a in arguments]
    return tuple(v if isinstance(v, str) else None for v in values) or (None,)


def _is_command(function: ast.FunctionDef) -> bool:
    decorators = (d.func if isinstance(d, ast.Call) else d for d in function.decorator_list)
    names = {d.attr for d in decorators if isinstance(d, ast.Attribute)}
    return bool(names & {"command", "group"})


# Which files are read by what.
METHODS: list[tuple[str, Any]] = [
    ("web/static/vendor/**", "ignore"),
    ("**.py", python),
    ("web/specification/openapi.json", specification),
    ("**.html", jinja),
    ("**.txt", jinja),
    ("**.js", "javascript"),
]


def said() -> set[Key]:
    """All texts of this package."""
    found = extract_from_dir(PACKAGE, METHODS, keywords=KEYWORDS)
    return {(context, _id(text)) for _name, _line, text, _comments, context in found}


def said_by_click() -> set[Key]:
    """All texts of the installed click that its commands, options and errors can show."""
    files = (str(import_module(f"click.{name}").__file__) for name in CLICK)
    method: Any = python
    found = (row for file in files for row in extract_from_file(method, file, GETTEXT))
    texts = {(None, _id(text)) for _line, text, _comments, _context in found}
    return {text for text in texts if english(text) not in NOT_SEEN}


def english(text: Key) -> str:
    """Its English, the singular of what is counted."""
    return text[1] if isinstance(text[1], str) else text[1][0]


def _id(text: Any) -> Id:
    return tuple(text) if isinstance(text, list | tuple) else str(text)


# The catalogue


def texts_of(catalogue: Catalog) -> set[Key]:
    """The texts that a catalogue has."""
    return {(message.context, _id(message.id)) for message in catalogue if message.id}


def form(message: Message | None) -> str:
    """Its Japanese; "" where there is none."""
    japanese = (message and message.string) or ""
    return japanese if isinstance(japanese, str) else japanese[0]


def read(text: bytes) -> Catalog:
    """The catalogue of a PO file."""
    return read_po(io.BytesIO(text), locale="ja")


def catalogue_of(texts: Collection[Key], translated: Catalog) -> Catalog:
    """These texts with their translations, those without one empty."""
    catalogue = Japanese()
    for text in sorted(texts, key=lambda text: (english(text), text[0] or "")):
        japanese = form(translated.get(english(text), text[0]))
        string = japanese if isinstance(text[1], str) else (japanese,)
        catalogue.add(text[1], string, context=text[0]).flags.clear()
    return catalogue


def written(catalogue: Catalog) -> bytes:
    """The PO file, in the order of its English."""
    file = io.BytesIO()
    write_po(file, catalogue, width=0, no_location=True, sort_output=True)
    return file.getvalue().rstrip() + b"\n"


def main() -> None:
    """Add new texts without a translation, drop those that are said no more."""
    catalogue = catalogue_of(said() | said_by_click(), read(CATALOGUE.read_bytes()))
    CATALOGUE.write_bytes(written(catalogue))
    missing = [message.id for message in catalogue if message.id and not form(message)]
    sys.stdout.write("".join(f"not translated: {text!r}\n" for text in missing))


if __name__ == "__main__":
    main()
