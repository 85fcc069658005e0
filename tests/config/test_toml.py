"""Lines of a TOML file, counted by hand."""

import tomllib
from collections.abc import MutableMapping
from typing import Any

import pytest

from flask10x.config.toml import edited, lines_of
from flask10x.errors import SettingsError

FILE = '''# A comment with [brackets] = 1

[stations.balcony]
label = "a # b" # [c]
"interval sec" = 60
note = """
[stations.not]
x = 1 """
[stations."a.b".measurements.t]
faults = [
    { value = 1, sensor = "[" },  # ]
    # { value = 0 },
    { value = 2, sensor = '"' },
]
path = 'c:\\'
[[list]]
x = 1
[[list]]
x.y = 1979-05-27 07:32:00
[list.z]
a = [[1, 2], [3]]
'''


def test_each_name_has_its_line() -> None:
    lines = lines_of(FILE)

    assert {
        ".".join(map(str, path)): line for path, line in lines.items() if path[0] == "stations"
    } == {
        "stations": 3,
        "stations.balcony": 3,
        "stations.balcony.label": 4,
        "stations.balcony.interval sec": 5,
        "stations.balcony.note": 6,
        "stations.a.b": 9,
        "stations.a.b.measurements": 9,
        "stations.a.b.measurements.t": 9,
        "stations.a.b.measurements.t.faults": 10,
        "stations.a.b.measurements.t.faults.0": 11,
        "stations.a.b.measurements.t.faults.0.value": 11,
        "stations.a.b.measurements.t.faults.0.sensor": 11,
        "stations.a.b.measurements.t.faults.1": 13,
        "stations.a.b.measurements.t.faults.1.value": 13,
        "stations.a.b.measurements.t.faults.1.sensor": 13,
        "stations.a.b.measurements.t.path": 15,
    }
    assert lines["list", 0, "x"] == 17
    assert (lines["list", 1], lines["list", 1, "x", "y"]) == (18, 19)
    assert (lines["list", 1, "z"], lines["list", 1, "z", "a", 1, 0]) == (20, 21)


def test_a_table_behind_a_part_of_it_has_its_own_line() -> None:
    assert lines_of("[a.b]\n[a]\n")[("a",)] == 2


@pytest.mark.parametrize("end", ["]", '"x"]', '"x"]  # the last', '["x", "y"] ]', "], ]"])
def test_what_follows_a_long_list_keeps_its_lines(end: str) -> None:
    begin = "[\n" if end.startswith("],") else ""
    text = f"a = [\n{begin}" + '"x",\n' * 300 + f"{end}\nb = 1\n[c]\nd = 2\n"
    lines = lines_of(text)
    last = text.count("\n")
    assert [lines["b",], lines["c",], lines["c", "d"]] == [last - 2, last - 1, last]


def paths(value: Any) -> set[tuple[str | int, ...]]:
    """Every path into a decoded document."""
    items = enumerate(value) if isinstance(value, list) else value.items()
    lines: set[tuple[str | int, ...]] = set()
    for name, inner in items:
        lines.add((name,))
        if isinstance(inner, dict | list):
            lines |= {(name, *path) for path in paths(inner)}
    return lines


@pytest.mark.parametrize(
    "text",
    [
        FILE,
        "",
        "# only a comment",
        "a = 1",
        'a."b c".\'d\' = """"""\nb = """x""""\r\nc = \'\'\'y\'\'\'\'\n',
        "a = { b = [], c = {} }\nd = [\n # no, 1\n]\n",
        'a = "\\"]"\nb = [ "]", \'}\' ]',
        "[[a]]\n[[a.b]]\nc = 1\n[[a.b]]\n[[a]]\n[[a.b]]\nd=-0.5e3\n",
        "[ a . b ]\nc = true\n",
    ],
)
def test_all_that_tomllib_reads_is_found(text: str) -> None:
    lines = set(lines_of(text))
    assert paths(tomllib.loads(text)) == lines


def test_a_change_keeps_comments_and_order() -> None:
    text = '# Ours.\nb = 1 # one\n\n[x.y] # here\n"k k" = [1,\n 2]\na.c = "z"\n'

    def edit(tables: MutableMapping[str, Any]) -> None:
        tables["b"] = 2
        tables["x"]["y"]["a"]["c"] = '"]\n[evil]'
        tables["x"].setdefault("new", {})["d"] = 3.5

    written = edited(text.encode(), edit).decode()
    assert written.startswith("# Ours.\nb = 2 # one\n\n[x.y] # here\n")
    assert "[1,\n 2]" in written
    assert tomllib.loads(written) == {
        "b": 2,
        "x": {"y": {"k k": [1, 2], "a": {"c": '"]\n[evil]'}}, "new": {"d": 3.5}},
    }


def test_a_change_that_would_be_no_toml_is_made_by_hand() -> None:
    """The library puts a table of its own beside dotted keys, which may not be."""

    def edit(document: MutableMapping[str, Any]) -> None:
        measurements = document["stations"]["data3"]["measurements"]
        measurements["temperature"]["bands"] = [{"above": 3, "label": "z"}]

    text = b"[stations.data3]\nmeasurements.temperature.label = 'a'\n"
    with pytest.raises(SettingsError, match="by hand"):
        edited(text + b"measurements.humidity.label = 'b'\n", edit)
