"""Help texts in lines that fit the terminal, where a Japanese character takes two columns.

click counts characters and breaks at spaces, of which Japanese has none. A line is broken between
words here, as far as the kinds of their characters tell them apart.
"""

import re
from collections.abc import Iterable, Iterator
from gettext import gettext as _
from unicodedata import east_asian_width

import click

# No line ends with what opens, none begins with what closes (JIS X 4051, as far as needed here).
OPENING = r"（「『【\[("
CLOSING = r"、。，．：；？！）」』】・…\]):"
NARROW = r"[!-~\u00a1-\u02ff\u2010-\u2bff]"
HIRAGANA = "[ぁ-ん]"
# What stays together: a word with the hiragana that end it, and a number with what it counts.
_PIECE = re.compile(
    rf"[{OPENING}]*(?:(?:\d[\d,.]* )?(?:{NARROW}+(?: (?={HIRAGANA}))?|[ァ-ー]+|[一-龠々]+|[^\s])"
    rf"{HIRAGANA}*)[{CLOSING}]*|\s+"
)
# The end of a line within Japanese stands for nothing, elsewhere for a space.
_BETWEEN_WIDE = re.compile(r"(?<=[^\x00-\x7f])\n(?=[^\x00-\x7f])")
# As click: a value's column is never narrower, whatever the terminal.
LEAST_COLUMNS = 10


def columns(text: str) -> int:
    """How many columns of a terminal a text takes (https://www.unicode.org/reports/tr11/)."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def wrap(text: str, width: int) -> str:
    """A text of one or more paragraphs in lines of at most this many columns."""
    if text.isascii():
        return click.wrap_text(text, width, preserve_paragraphs=True)
    return "\n\n".join("\n".join(_lines(part, width)) for part in re.split(r"\n\s*\n", text))


def _lines(paragraph: str, width: int) -> Iterator[str]:
    line = ""
    for piece in _PIECE.findall(" ".join(_BETWEEN_WIDE.sub("", paragraph).split())):
        if line and columns(line + piece.rstrip()) > width:
            yield line.rstrip()
            line = piece.lstrip()
        else:
            line += piece
    yield line.rstrip()


class Formatter(click.HelpFormatter):
    """click's layout of a help, with lines measured in columns."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """The line of usage, whose arguments are plain ASCII."""
        shown = prefix or f"{_('Usage:')} "
        # click indents by the number of characters; these are as many as there are columns.
        stand_in = "_" * columns(shown)
        before = len(self.buffer)
        super().write_usage(prog, args, stand_in)
        self.buffer[before:] = ["".join(self.buffer[before:]).replace(stand_in, shown, 1)]

    def write_text(self, text: str) -> None:
        """Paragraphs, at the current indentation."""
        indent = " " * self.current_indent
        lines = wrap(text, max(self.width - self.current_indent, LEAST_COLUMNS + 1)).split("\n")
        self.write("".join(f"{indent}{line}".rstrip() + "\n" for line in lines))

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Names on the left, plain ASCII, and what they mean on the right."""
        rows = list(rows)
        first = min(max(len(row[0]) for row in rows), col_max) + col_spacing
        width = max(self.width - first - 2, LEAST_COLUMNS)
        indent = " " * (first + self.current_indent)
        for name, meaning in rows:
            head = f"{'':>{self.current_indent}}{name}"
            lines = wrap(meaning, width).splitlines() if meaning else []
            if lines and len(name) <= first - col_spacing:
                head = f"{head:<{len(indent)}}{lines.pop(0)}"
            self.write(f"{head}\n" + "".join(f"{indent}{line}".rstrip() + "\n" for line in lines))
