"""Earlier backups: each is kept as the pages in which it differs from the next one.

The newest backup is a plain file of SQLite. The next backup overwrites in it the pages that have
changed since. Before, it writes what they held into `flask10x-….pages`. That file brings the
earlier backup back, undoes a backup that was killed, and can be joined with the file before it.

It is a line of JSON (`Head`), and records: a page's number and length (4 bytes each, big-endian),
then its bytes by zlib. A record that isn't complete counts as absent: its page was not overwritten.
"""

import json
import os
import struct
import zlib
from array import array
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from gettext import gettext as _
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from flask10x.config.house import House
from flask10x.database.paths import JOURNAL, SHARED_MEMORY, WAL, beside
from flask10x.database.sqlite.file import open_alone
from flask10x.database.sqlite.snapshot import BLOCK_PAGES, Snapshot, page_bytes_of
from flask10x.errors import CopyError
from flask10x.maintenance import house_copy
from flask10x.system import backup_files, disk
from flask10x.system.backup_files import pages_path, plain_path
from flask10x.system.progress import Advance

RECORD = struct.Struct(">II")
# The file format of a WAL: its head, and the head of each frame, which begins with a page number.
WAL_HEAD_BYTES, FRAME_HEAD_BYTES = 32, 24
HEAD_MAX_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Head:
    """What a file of pages is for."""

    sha256: str
    """Of the whole backup that the pages bring back."""
    pages: int
    page_bytes: int
    newer: str
    """The name of the backup, as a plain file, that holds the other pages."""
    secrets: int = 0
    """How many secrets of channels the backup has."""


@dataclass(frozen=True, slots=True)
class About:
    """What lists show of a backup."""

    bytes: int
    """As a plain file."""
    sha256: str | None
    secrets: int


class Image:
    """The pages of a finished backup, also of an earlier one; `path` names either file.

    Raises CopyError if a newer backup is missing that holds its pages, or OSError.
    """

    def __init__(self, path: Path) -> None:
        folder, name = path.parent, plain_path(path).name
        differences: list[tuple[Path, Head]] = []
        while (pages := pages_path(folder / name)).is_file():
            head = _head(pages)
            differences.append((pages, head))
            newer = folder / head.newer
            if len(differences) > len(backup_files.earlier(folder)):
                raise CopyError(_("{path} is damaged: {damages}").format(path=pages, damages=newer))
            if not (newer.is_file() or pages_path(newer).is_file()) and (folder / name).is_file():
                # A backup was killed: the file has the former name, and perhaps newer pages.
                break
            name = head.newer
        self._plain = folder / name
        if differences and not self._plain.is_file():
            text = _("{path} needs the newer backup {newer}, which is missing")
            raise CopyError(text.format(path=path, newer=self._plain))
        self.page_bytes = page_bytes_of(self._plain)
        self.count = self._plain.stat().st_size // self.page_bytes
        self.sha256 = backup_files.noted_checksum(plain_path(path))
        if differences:
            self.count, self.sha256 = differences[0][1].pages, differences[0][1].sha256
        self.bytes = self.count * self.page_bytes
        self._differences = [pages for pages, _head_of_pages in differences]
        # Where the record of each page begins, and in which file, counted from 1; 0 for none. A
        # dictionary of a database that was rewritten would take ten times the memory.
        self._offsets = array("Q", bytes(8 * (self.count + 1)))
        self._files = array("H", bytes(2 * (self.count + 1)))
        # What the oldest file holds counts.
        for place in range(len(differences), 0, -1):
            for number, offset in _records(self._differences[place - 1]):
                if number <= self.count:
                    self._offsets[number], self._files[number] = offset, place

    def blocks(self) -> Iterator[bytes]:
        """Yield BLOCK_PAGES pages at a time; hold the folder meanwhile (`backup_files.held`)."""
        size = self.page_bytes
        with ExitStack() as stack:
            plain = stack.enter_context(open(self._plain, "rb"))
            files = [stack.enter_context(open(path, "rb")) for path in self._differences]
            for first in range(1, self.count + 1, BLOCK_PAGES):
                count = min(BLOCK_PAGES, self.count + 1 - first)
                block = bytearray(plain.read(count * size).ljust(count * size, b"\0"))
                for place, file in enumerate(self._files[first : first + count]):
                    if file:
                        page = _page(files[file - 1], self._offsets[first + place])
                        block[place * size : (place + 1) * size] = page
                yield bytes(block)

    def page(self, number: int) -> bytes:
        """Return one page; the first has the number 1."""
        if file := self._files[number]:
            with open(self._differences[file - 1], "rb") as pages:
                return _page(pages, self._offsets[number])
        with open(self._plain, "rb") as plain:
            plain.seek((number - 1) * self.page_bytes)
            return plain.read(self.page_bytes)


Source = Snapshot | Image


@contextmanager
def whole(path: Path, folder: Path) -> Iterator[Path]:
    """Yield a backup as a plain file that nobody changes within the block.

    It is `path`, or for an earlier backup a file in a new folder within `folder`, with its sum.
    That folder goes behind the block, unless somebody has put a file beside it.
    Raises CopyError if a page is missing or has changed, and OSError.
    """
    with backup_files.held(path.parent):
        if not pages_path(path).is_file():
            yield path
            return
        image = Image(path)
        if shortage := disk.shortage(folder, image.bytes + disk.SPARE_BYTES):
            raise CopyError(shortage)
        place = folder / f".flask10x-whole-{os.getpid()}"
        place.mkdir(mode=0o750, exist_ok=True)
        copy = place / plain_path(path).name
        checksum = backup_files.checksum_path(copy)
        try:
            with open(copy, "wb", opener=disk.private) as file:
                file.writelines(image.blocks())
            checksum.write_text(backup_files.checksum_line(image.sha256 or "", copy.name))
            yield copy
        finally:
            copy.unlink(missing_ok=True)
            checksum.unlink(missing_ok=True)
            with suppress(OSError):
                place.rmdir()


def is_unchanged(path: Path) -> bool | None:
    """Return whether a finished backup has its sum; None without one. Raises OSError."""
    digest = sha256()
    try:
        with backup_files.held(path.parent):
            if not pages_path(path).is_file():
                return backup_files.is_unchanged(path)
            image = Image(path)
            for block in image.blocks():
                digest.update(block)
    except CopyError:
        return False
    return digest.hexdigest() == image.sha256


@contextmanager
def advanced(
    path: Path, newer: Path, source: Source, house: House | None, advance: Advance
) -> Iterator[str]:
    """Make of the newest backup, `path`, the one of `source` and the house; yield its sum.

    What it was is kept in its file of pages; `newer` is the name that the block gives to the file.
    If the block fails, the file is made what it was. The caller holds the folder to change it.

    Raises Changed if the file is not what it was made, CopyError if the disk stores other bytes,
    and OSError.
    """
    pages, unfinished = pages_path(path), backup_files.unfinished_path(path.parent)
    try:
        changed, crc = _keep(path, unfinished, newer.name, source, advance)
        disk.leave_to_owner(unfinished, path.parent)
        unfinished.rename(pages)
    finally:
        unfinished.unlink(missing_ok=True)
    try:
        disk.sync(path.parent)
        _overwrite(path, source, changed)
        before = _put(house, path, pages) if house else {}
        disk.sync(path)
        yield _read_back(path, before, source.count, crc)
    except BaseException:
        if path.exists():
            undo(path)
        raise


class Changed(CopyError):
    """The newest backup is not what it was made, so the next one can't be made of it."""


def _keep(
    path: Path, unfinished: Path, newer: str, source: Source, advance: Advance
) -> "tuple[array[int], int]":
    """Write what the next backup will overwrite; return the numbers of all pages to be written.

    With them comes the CRC-32 of the source's bytes.
    """
    noted, page_bytes = backup_files.noted_checksum(path), source.page_bytes
    known = about(path)
    head = Head(noted or "", known.bytes // page_bytes, page_bytes, newer, known.secrets)
    changed, digest, crc, first = array("I"), sha256(), 0, 1
    with open(path, "rb") as former, open(unfinished, "wb", opener=disk.private) as file:
        file.write(json.dumps(asdict(head)).encode() + b"\n")
        for block in source.blocks():
            crc = zlib.crc32(block, crc)
            old = former.read(len(block))
            digest.update(old)
            # The first page changes with the house.
            if old != block or first == 1:
                for number, begin in enumerate(range(0, len(block), page_bytes), first):
                    page, kept = (part[begin : begin + page_bytes] for part in (block, old))
                    if kept != page or number == 1:
                        changed.append(number)
                        if kept:
                            _write(file, number, kept)
            first += len(block) // page_bytes
            advance(len(block))
        # The database has become smaller.
        while old := former.read(page_bytes):
            digest.update(old)
            _write(file, first, old)
            first += 1
        file.flush()
        os.fsync(file.fileno())
    if digest.hexdigest() != noted:
        raise Changed(_("{path} has changed since it was made").format(path=path))
    return changed, crc


def _overwrite(path: Path, source: Source, changed: Iterable[int]) -> None:
    with open(path, "r+b") as file:
        for number in changed:
            file.seek((number - 1) * source.page_bytes)
            file.write(source.page(number))
        file.truncate(source.count * source.page_bytes)


def _put(house: House, path: Path, pages: Path) -> dict[int, bytes]:
    """Write the house into the file; return what the pages held that this has changed.

    SQLite's WAL names them before the file changes.
    """
    page_bytes, wal = page_bytes_of(path), beside(path, WAL)
    count = _head(pages).pages
    kept = bytearray(count + 1)
    for number, _offset in _records(pages):
        kept[number] = True
    # Closing a file drops the locks that SQLite has on it, so SQLite's connection ends first.
    with open(path, "rb") as file, open_alone(path).connect() as connection:
        # The journal mode is in the first page. All other pages wait in the WAL.
        before = {1: file.read(page_bytes)}
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        connection.exec_driver_sql("PRAGMA wal_autocheckpoint = 0")
        house_copy.put_by(connection, house)
        frames = wal.read_bytes()[WAL_HEAD_BYTES:]
        with open(pages, "ab") as difference:
            for offset in range(0, len(frames), FRAME_HEAD_BYTES + page_bytes):
                number = int.from_bytes(frames[offset : offset + 4])
                file.seek((number - 1) * page_bytes)
                page = file.read(page_bytes)
                if number not in before and page:
                    before[number] = page
                    if number <= count and not kept[number]:
                        _write(difference, number, page)
            difference.flush()
            os.fsync(difference.fileno())
        connection.exec_driver_sql("PRAGMA journal_mode = DELETE")
    return before


def _read_back(path: Path, before: dict[int, bytes], count: int, crc: int) -> str:
    """Return the sum of the file on the disk; raise CopyError if it isn't what was written."""
    page_bytes, digest, found, first = page_bytes_of(path), sha256(), 0, 1
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while block := file.read(BLOCK_PAGES * page_bytes):
            digest.update(block)
            former, after = bytearray(block), first + len(block) // page_bytes
            for number in before.keys() & range(first, after):
                begin = (number - first) * page_bytes
                former[begin : begin + page_bytes] = before[number]
            del former[max(0, count + 1 - first) * page_bytes :]
            found, first = zlib.crc32(former, found), after
    if found != crc:
        text = _("{path}: the disk returned other bytes than were written to it")
        raise CopyError(text.format(path=path))
    return digest.hexdigest()


def undo(path: Path) -> None:
    """Make a file again what it was before a backup that did not end; raises CopyError, OSError."""
    pages = pages_path(path)
    head = _head(pages)
    for suffix in (WAL, SHARED_MEMORY, JOURNAL):
        beside(path, suffix).unlink(missing_ok=True)
    backup_files.checksum_path(path.with_name(head.newer)).unlink(missing_ok=True)
    with open(path, "r+b") as file, open(pages, "rb") as difference:
        for number, offset in _records(pages):
            file.seek((number - 1) * head.page_bytes)
            file.write(_page(difference, offset))
        file.truncate(head.pages * head.page_bytes)
    disk.sync(path)
    if backup_files.digest_of(path) != head.sha256:
        raise Changed(_("{path} has changed since it was made").format(path=path))
    pages.unlink()


def drop(path: Path) -> None:
    """Remove an earlier backup, `path`; what an older one needs of it goes to that.

    Raises CopyError if a file of pages is damaged, or OSError.
    """
    head, name = _head(path), plain_path(path).name
    for older in backup_files.earlier(path.parent):
        former = _head(older)
        if former.newer != name:
            continue
        joined = replace(former, newer=head.newer)
        unfinished = backup_files.unfinished_path(path.parent)
        own = bytearray(former.pages + 1)
        with (
            open(older, "rb") as file,
            open(path, "rb") as other,
            open(unfinished, "wb", opener=disk.private) as target,
        ):
            target.write(json.dumps(asdict(joined)).encode() + b"\n")
            for number, offset in _records(older):
                own[number] = True
                _write(target, number, _page(file, offset))
            for number, offset in _records(path):
                if number <= former.pages and not own[number]:
                    _write(target, number, _page(other, offset))
            target.flush()
            os.fsync(target.fileno())
        disk.leave_to_owner(unfinished, path.parent)
        unfinished.rename(older)
        disk.sync(path.parent)
    path.unlink()


def about(path: Path) -> About:
    """Return what is known of a finished backup without reading all of it.

    Of a plain file the caller holds the folder; one that can't be read has no secrets. Raises
    CopyError if a file of pages is damaged, and OSError.
    """
    if path.suffix == backup_files.PAGES_SUFFIX:
        head = _head(path)
        return About(head.pages * head.page_bytes, head.sha256, head.secrets)
    secrets = 0
    with suppress(CopyError):
        secrets = len(house_copy.house_in(path).secrets)
    return About(path.stat().st_size, backup_files.noted_checksum(path), secrets)


def interrupted(folder: Path) -> list[Path]:
    """Return the plain files that a backup was changing when it was killed; raises OSError."""
    plain = map(plain_path, backup_files.earlier(folder))
    return [path for path in plain if path.is_file()]


def _head(pages: Path) -> Head:
    """Raises CopyError if the file is none of pages, or OSError."""
    with open(pages, "rb") as file:
        line = file.readline(HEAD_MAX_BYTES)
    try:
        head = Head(**json.loads(line))
        if not backup_files.FINAL_NAME.fullmatch(head.newer) or head.pages < 1:
            raise ValueError(head.newer)
    except (ValueError, TypeError) as error:
        text = _("{path} is damaged: {damages}")
        raise CopyError(text.format(path=pages, damages=_("its first line"))) from error
    return head


def _records(pages: Path) -> Iterator[tuple[int, int]]:
    """Yield each page's number, and where its record begins."""
    size = disk.size(pages)
    with open(pages, "rb") as file:
        file.readline(HEAD_MAX_BYTES)
        while len(head := file.read(RECORD.size)) == RECORD.size:
            number, length = RECORD.unpack(head)
            if file.tell() + length > size:
                break
            yield number, file.tell() - RECORD.size
            file.seek(length, os.SEEK_CUR)


def _page(file: BinaryIO, offset: int) -> bytes:
    file.seek(offset)
    _number, length = RECORD.unpack(file.read(RECORD.size))
    try:
        return zlib.decompress(file.read(length))
    except zlib.error as error:
        text = _("{path} is damaged: {damages}")
        raise CopyError(text.format(path=file.name, damages=error)) from error


def _write(file: BinaryIO, number: int, page: bytes) -> None:
    packed = zlib.compress(page)
    file.write(RECORD.pack(number, len(packed)) + packed)
