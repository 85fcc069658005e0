"""The messages of the code and of click, and the catalogue that has them in Japanese.

`make messages` brings `flask10x.po` up to what the code says and compiles it to `flask10x.mo`.
"""

import ast
import inspect
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

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
HEAD = (
    "Language: ja\n"
    "MIME-Version: 1.0\n"
    "Content-Type: text/plain; charset=UTF-8\n"
    "Content-Transfer-Encoding: 8bit\n"
    "Plural-Forms: nplurals=1; plural=0;\n"
)


@dataclass(frozen=True, slots=True, order=True)
class Message:
    """What the code says in English; `plural` is empty when it does not count."""

    english: str
    plural: str = ""


def said_in(path: Path) -> Iterator[Message]:
    """The messages of one source file: `_("…")`, `ngettext`, `amount(n, "row")`, and helps."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield from _of_call(node)
        elif isinstance(node, ast.FunctionDef) and _is_command(node):
            documented = ast.get_docstring(node, clean=False)
            assert documented, f"{path}: {node.name} has no help"
            yield Message(inspect.cleandoc(documented))


def said() -> set[Message]:
    """All messages of this package."""
    return {message for path in PACKAGE.rglob("*.py") for message in said_in(path)}


def said_by_click() -> set[Message]:
    """All messages of the installed click that its commands, options and errors can show."""
    files = (Path(str(import_module(f"click.{name}").__file__)) for name in CLICK)
    found = {message for file in files for message in said_in(file)}
    return {message for message in found if message.english not in NOT_SEEN}


def _of_call(call: ast.Call) -> Iterator[Message]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    texts = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    if name == "_" and len(texts) == 1:
        yield Message(texts[0])
    elif name == "ngettext" and len(texts) == 2:
        yield Message(texts[0], texts[1])
    elif name == "amount" and len(texts) == 1:
        yield Message(f"{{n}} {texts[0]}", f"{{n}} {texts[0]}s")
    for keyword in call.keywords:
        if keyword.arg == "help" and isinstance(keyword.value, ast.Constant):
            yield Message(inspect.cleandoc(str(keyword.value.value)))


def _is_command(function: ast.FunctionDef) -> bool:
    decorators = (d.func if isinstance(d, ast.Call) else d for d in function.decorator_list)
    names = {d.attr for d in decorators if isinstance(d, ast.Attribute)}
    return bool(names & {"command", "group"})


# The catalogue


def parse(text: str) -> dict[Message, str]:
    """The entries of a PO file and their translations, as far as `written` writes them."""
    entries: dict[Message, str] = {}
    for block in text.split("\n\n"):
        fields = {"msgid": "", "msgid_plural": "", "msgstr": ""}
        name = ""
        for line in block.splitlines():
            if line.startswith("#"):
                continue
            head, _, rest = line.partition('"')
            name = head.strip().removesuffix("[0]") or name
            fields[name] += ast.literal_eval(f'"{rest}')
        entries[Message(fields["msgid"], fields["msgid_plural"])] = fields["msgstr"]
    entries.pop(Message(""), None)
    return entries


def written(entries: dict[Message, str]) -> str:
    """The PO file of these entries, in the order of their English."""
    blocks = [f'msgid ""\nmsgstr ""\n{_quoted(HEAD)}']
    for message, japanese in sorted(entries.items()):
        block = f"msgid {_quoted(message.english)}\n"
        if message.plural:
            block += f"msgid_plural {_quoted(message.plural)}\nmsgstr[0] {_quoted(japanese)}"
        else:
            block += f"msgstr {_quoted(japanese)}"
        blocks.append(block)
    return "\n\n".join(blocks) + "\n"


def compiled(entries: dict[Message, str]) -> bytes:
    """The MO file (https://www.gnu.org/software/gettext/manual/html_node/MO-Files.html)."""
    texts = {"": HEAD} | {
        f"{message.english}\0{message.plural}" if message.plural else message.english: japanese
        for message, japanese in entries.items()
        if japanese
    }
    pairs = sorted((key.encode(), value.encode()) for key, value in texts.items())
    head_bytes, row_bytes = 28, 8
    at = head_bytes + 2 * row_bytes * len(pairs)
    tables: list[bytes] = []
    body = b""
    for column in (0, 1):
        for pair in pairs:
            tables.append(struct.pack("<2I", len(pair[column]), at + len(body)))
            body += pair[column] + b"\0"
    first, second = head_bytes, head_bytes + row_bytes * len(pairs)
    head = struct.pack("<7I", 0x950412DE, 0, len(pairs), first, second, 0, at)
    return head + b"".join(tables) + body


def _quoted(text: str) -> str:
    """A text as PO has it: each of its lines on a line of its own."""
    lines = text.splitlines(keepends=True) or [""]
    shown = [
        '"{}"'.format(
            line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        )
        for line in lines
    ]
    return shown[0] if len(shown) == 1 else "\n".join(['""', *shown])


def main() -> None:
    """Add new messages without a translation, drop those that are said no more, compile."""
    known = parse(CATALOGUE.read_text(encoding="utf-8")) if CATALOGUE.exists() else {}
    entries = {message: known.get(message, "") for message in said() | said_by_click()}
    CATALOGUE.write_text(written(entries), encoding="utf-8")
    CATALOGUE.with_suffix(".mo").write_bytes(compiled(entries))
    missing = sorted(message.english for message, japanese in entries.items() if not japanese)
    sys.stdout.write("".join(f"not translated: {english!r}\n" for english in missing))


if __name__ == "__main__":
    main()
