"""Lines of help that fit the terminal, of narrow and of wide characters."""

import click
import pytest

from flask10x.commands.translated import Formatter, columns, wrap

SENTENCE = (
    "行の増えたファイルも含め、何度でも実行できます。読めない行は FILE.rejected.csv に"
    "書き出します。終了コード: すべての行が保存されれば 0、読めない行があれば 4（ほかは 1）。"
)


def test_a_wide_character_takes_two_columns() -> None:
    assert columns("rows: 行、") == 6 + 4


def test_japanese_is_broken_where_words_end() -> None:
    for width in range(30, 80):
        lines = wrap(SENTENCE, width).split("\n")

        assert max(map(columns, lines)) <= width
        assert "".join(lines).replace(" ", "") == SENTENCE.replace(" ", "")
        for line in lines[1:]:
            # Neither punctuation nor the end of a word begins a line.
            assert line[0] not in "、。）" and line[:1] not in "をにはでが", width
        assert not any(line.endswith("（") for line in lines), width


def test_paragraphs_stay_apart() -> None:
    assert wrap("一つ目。\n\n二つ目は\nCSV\nの続\nき。", 40) == "一つ目。\n\n二つ目は CSV の続き。"


@pytest.mark.parametrize("width", [50, 78, 100])
def test_english_looks_as_click_makes_it(width: int) -> None:
    rows = [("--one", "The first of all options, which is up-to-date. " * 3), ("--none", "")]
    rows.append(("--a-long-one [which|does|not|fit|beside]", "Its help is below."))
    ours, clicks = Formatter(width=width), click.HelpFormatter(width=width)
    for formatter in (ours, clicks):
        formatter.write_usage("program command", "[OPTIONS] " + "[one|another]..." * 8)
        with formatter.section("Options"):
            formatter.write_text("A paragraph of many words. " * 8 + "\n\nAnother one.")
            formatter.write_dl(rows)

    assert ours.getvalue() == clicks.getvalue()


def test_usage_is_indented_by_the_columns_of_a_wide_word() -> None:
    formatter = Formatter(width=50)

    formatter.write_usage("program", "[OPTIONS] " + "[one|another]..." * 3, prefix="使い方: ")

    first, second = formatter.getvalue().splitlines()[:2]
    assert first.startswith("使い方: program [OPTIONS]")
    assert len(second) - len(second.lstrip()) == columns("使い方: program ")
