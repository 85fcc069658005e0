"""Why nothing is written to a CSV file, and what mends it: docs/en/howto/mend-csv.md has each.

Each function gives the ExportError to raise.
"""

import shlex
from gettext import gettext as _
from pathlib import Path

from flask10x.errors import ExportError
from flask10x.system import wording

SHOWN_BYTES = 200


def other_header(path: Path, first: bytes, wanted: bytes, *, known: bool) -> ExportError:
    """The first line is not the station's."""
    return _refused(
        _("the first line is {line}, not {wanted}").format(
            line=_shown(first), wanted=_shown(wanted)
        ),
        _rebuild(path) if known else _move_away(path),
    )


def torn(path: Path, last: bytes, whole_bytes: int) -> ExportError:
    """A file that was never exported to does not end in a whole line."""
    return _refused(
        _("the last line is torn: {line}").format(line=_shown(last)),
        f"truncate --size={whole_bytes} {shlex.quote(str(path))}",
    )


def shorter(path: Path, size: int, recorded: int) -> ExportError:
    """Bytes are missing at the end."""
    return _refused(
        _(
            "the file is shorter than after the last export: {size} bytes instead of {recorded}"
        ).format(size=size, recorded=recorded),
        _rebuild(path),
    )


def replaced(path: Path) -> ExportError:
    """The name leads to another file, and its bytes differ."""
    return _refused(
        _(
            "this is another file than the last export wrote to, and its rows differ from that"
            " one's"
        ),
        _rebuild(path),
    )


def rewritten(path: Path) -> ExportError:
    """It is the same file, but old bytes in it are different."""
    return _refused(_("rows that were already in the file have been changed"), _rebuild(path))


def foreign(path: Path, line: bytes, offset: int) -> ExportError:
    """Something that we don't write stands at the end."""
    return _refused(
        _("somebody else's line follows the last exported row, at byte {offset}: {line}").format(
            offset=offset, line=_shown(line)
        ),
        _import(path),
        _rebuild(path),
    )


def ahead(path: Path, rows: int, line: bytes) -> ExportError:
    """Rows follow that look like ours, but the database does not know of them."""
    return _refused(
        _(
            "the file is ahead of the database by {rows}, the first is {line}: the database was"
            " put back to an older one, or another program writes into the file"
        ).format(rows=wording.amount(rows, "row"), line=_shown(line)),
        _import(path),
        _rebuild(path),
    )


def repeated(path: Path, line: bytes) -> ExportError:
    """The file already has the row that would be appended next."""
    return _refused(
        _(
            "an older database was restored: the next row to append, {line}, is already in the file"
        ).format(line=_shown(line)),
        _import(path),
        _rebuild(path),
    )


def not_ours(path: Path, tail: bytes, offset: int) -> ExportError:
    """An export was interrupted, and what stands there is not the beginning of what it wrote."""
    return _refused(
        _(
            "an export was interrupted at byte {offset}, but what follows there is somebody"
            " else's: {bytes}"
        ).format(offset=offset, bytes=_shown(tail)),
        _import(path),
        _rebuild(path),
    )


def not_reproducible(path: Path, offset: int) -> ExportError:
    """An export was interrupted, and its rows are not what they were."""
    return _refused(
        _(
            "an export was interrupted at byte {offset}, and the database no longer has its rows"
            " as they were (an older database, another time zone)"
        ).format(offset=offset),
        _rebuild(path),
    )


def moved_midway(path: Path) -> ExportError:
    """An export was interrupted, and the file was moved away before it could be mended."""
    return _refused(
        _("an export into the file was interrupted, and then the file was moved away"),
        _("put it back, run flask10x export, move it again; or, if it is lost, {rebuild}").format(
            rebuild=_rebuild(path)
        ),
    )


def unknown_rows(path: Path, rows: int, line_number: int, line: bytes) -> ExportError:
    """A rebuilt file would lose rows."""
    return _refused(
        _(
            "rows of the file are not in the database: {n}, the first is line {number}, {line}"
        ).format(n=rows, number=line_number, line=_shown(line)),
        _("{take_in}; {rebuild}, or, if these rows are wrong, {move} && {rebuild}").format(
            take_in=_import(path), rebuild=_rebuild(path), move=_move_away(path)
        ),
    )


def older_rows(path: Path, rows: int, line_number: int) -> ExportError:
    """A rebuilt file would begin later than the one that is there."""
    return _refused(
        _(
            "rows of the file are older than the point at which it was begun anew: {n}, the first"
            " is line {number}"
        ).format(n=rows, number=line_number),
        f"{_rebuild(path)} --whole",
    )


def _refused(what: str, *commands: str) -> ExportError:
    text = _("{what}; nothing was written. Mend it: {commands}")
    return ExportError(text.format(what=what, commands="; ".join(commands)))


def _rebuild(path: Path) -> str:
    return f"flask10x export --rebuild {path.name}"


def _import(path: Path) -> str:
    return f"flask10x import {shlex.quote(str(path))}"


def _move_away(path: Path) -> str:
    return f"mv --backup=numbered {shlex.quote(str(path))} {shlex.quote(f'{path}.old')}"


def _shown(line: bytes) -> str:
    return repr(line[:SHOWN_BYTES])
