"""Files in blocks: where they end, where they are the same, what is in them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask10x.errors import ExportError
from flask10x.export.file import CsvFile, keep_old, make_folder


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask10x.export.file.BLOCK_BYTES", 4)
    monkeypatch.setattr("flask10x.export.file.LINE_BYTES", 8)


def opened(path: Path, content: bytes) -> CsvFile:
    path.write_bytes(content)
    file = CsvFile.open(path, write=True)
    assert file is not None
    return file


@pytest.mark.parametrize(
    ("content", "end"),
    [(b"", 0), (b"ab", 0), (b"a\n", 2), (b"a\nb", 2), (b"a\n" + b"b" * 20, 2), (b"\n", 1)],
)
def test_where_whole_lines_end(tmp_path: Path, content: bytes, end: int) -> None:
    with opened(tmp_path / "a.csv", content) as file:
        assert file.end_of_lines() == end


def test_what_was_appended_is_read(tmp_path: Path) -> None:
    """Also when the reader has come to the old end before: a failed append is taken back by it."""
    with opened(tmp_path / "a.csv", b"ab\nxy\n") as file:
        assert file.line(0) == b"ab\n"
        file.append(b"cd\n", 6)
        assert file.read(6, 8) == b"cd\n"
        file.cut(6)
        assert file.read(6, 8) == b""
        assert file.line(0) == b"ab\n"
        file.append(b"efgh\n", 6)
        assert (file.line(6), file.line(0)) == (b"efgh\n", b"ab\n")


def test_what_never_came_to_the_disk_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with opened(tmp_path / "a.csv", b"ab\n") as file:
        monkeypatch.setattr("os.fsync", failing)
        with pytest.raises(OSError, match="Input/output error"):
            file.append(b"cd\n", 3)
        assert (tmp_path / "a.csv").read_bytes() == b"ab\n"
        # What somebody else wrote is not ours to take.
        (tmp_path / "a.csv").write_bytes(b"ab\nxy\n")
        with pytest.raises(ExportError, match="something else wrote into it"):
            file.append(b"cd\n", 3)
        assert (tmp_path / "a.csv").read_bytes() == b"ab\nxy\ncd\n"


def test_a_mark_up_to_a_place_leaves_out_what_follows(tmp_path: Path) -> None:
    with opened(tmp_path / "a.csv", b"123456789") as file:
        whole = file.mark_up_to(9)
        file.append(b"\n", 9)
        mark = file.mark_up_to(9)
    assert (mark.size_bytes, mark.checksum, mark.inode) == (9, 0xCBF43926, whole.inode)


def test_lines(tmp_path: Path) -> None:
    with opened(tmp_path / "a.csv", b"ab\ncd\n0123456789\nend") as file:
        assert list(file.lines(3, file.size)) == [b"cd\n", b"01234567", b"89\n", b"end"]
        assert file.count_lines(0, file.size) == 3
        assert file.count_lines(3, 6) == 1
        assert file.line(3) == b"cd\n"


@pytest.mark.parametrize(
    ("line", "start", "expected"),
    [
        (b"cd\n", 3, True),
        (b"ab\n", 3, False),
        (b"d\n", 3, False),
        (b"0123456789\n", 3, True),
        (b"ef\n", 3, True),
        (b"ef\n", 17, True),
        (b"ef\n", 20, False),
    ],
)
def test_a_line_is_found_across_blocks(
    tmp_path: Path, line: bytes, start: int, expected: bool
) -> None:
    with opened(tmp_path / "a.csv", b"ab\ncd\n0123456789\nef\n") as file:
        assert file.has_line(line, start) is expected


@given(st.binary(max_size=12), st.binary(max_size=12), st.binary(max_size=12))
def test_the_same_end(
    tmp_path_factory: pytest.TempPathFactory, left_part: bytes, right_part: bytes, end: bytes
) -> None:
    folder = tmp_path_factory.mktemp("files")
    first, second = left_part + end, right_part + end
    lengths = range(min(len(first), len(second)) + 1)
    longest = max(n for n in lengths if first[len(first) - n :] == second[len(second) - n :])
    with opened(folder / "a", first) as a, opened(folder / "b", second) as b:
        assert a.same_end(b) == longest


def test_checksums(tmp_path: Path) -> None:
    with opened(tmp_path / "a.csv", b"123456789") as file:
        assert file.checksum(9) == 0xCBF43926
        assert file.checksum(0) == 0


def test_a_file_is_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"1")
    assert keep_old(path).name == "a.csv.old"
    # After a death between keeping and renaming.
    assert keep_old(path).name == "a.csv.old"
    path.unlink()
    path.write_bytes(b"2")
    assert keep_old(path).name == "a.csv.old-2"
    assert (tmp_path / "a.csv.old").read_bytes() == b"1"


def test_folders_are_made(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_new_file_gets_its_folder_and_stays_behind_its_link(tmp_path: Path) -> None:
    with CsvFile.create(tmp_path / "csv" / "a.csv") as file:
        assert file.size == 0
    (tmp_path / "csv" / "b.csv").symlink_to(tmp_path / "elsewhere.csv")
    with CsvFile.create(tmp_path / "csv" / "b.csv") as file:
        assert file.path == tmp_path / "elsewhere.csv"
    assert (tmp_path / "csv" / "b.csv").is_symlink()


def test_a_new_file_is_never_one_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    assert CsvFile.open(path, write=True) is None
    path.write_bytes(b"1")
    with pytest.raises(FileExistsError):
        CsvFile.create(path)
