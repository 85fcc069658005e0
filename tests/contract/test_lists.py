"""Lists of the documents that follow from the code have all that there is, in both languages."""

import re
from itertools import chain
from pathlib import Path

import pytest
from flask import Flask

from flask10x.history.parameters import MAX_PARAMETERS
from flask10x.readings.derived import HIGHEST_M, KINDS
from flask10x.readings.parse import BODY_MAX_BYTES
from flask10x.web.app import create_app
from flask10x.web.ingest.batch import ITEMS_MAX
from flask10x.web.limits import BATCH_MAX_BYTES
from tests.conftest import MakeSettings
from tests.contract.test_docs import ROOT, file_of, in_both_languages, read, section, table
from tests.support import setting_lists
from tests.web.test_access import READ, WRITE, secret

PACKAGE = ROOT / "flask10x"
# Methods that Flask adds.
ADDED = {"HEAD", "OPTIONS"}
# The sentence about what takes no token, up to its first word after the list.
OPEN = {"en": r"((?:`[^`]+`,? (?:and )?)+)stay open", "ja": r"((?:`[^`]+`、?)+) は常に制限しない"}
LAYERS = {"en": "The layers", "ja": "層"}
LIMITS = {"en": "Limits", "ja": "上限"}


@in_both_languages
def test_each_route_is_in_the_table_of_requests(app: Flask, language: str) -> None:
    head = read(file_of("reference/http-api", language)).split("\n## ", 1)[0]
    routes = [
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        if rule.endpoint != "static"
        for method in (rule.methods or set()) - ADDED
    ]

    assert sorted(re.findall(r"`((?:GET|POST) [^`]+)`", head)) == sorted(routes)


@in_both_languages
@pytest.mark.usefixtures("database")
def test_what_takes_no_token_is_said(
    make_settings: MakeSettings, tmp_path: Path, language: str
) -> None:
    tokens = {
        f"{use}_TOKENS_FILE": secret(tmp_path / use, f"* {token}\n")
        for use, token in (("WRITE", WRITE), ("READ", READ))
    }
    app = create_app(make_settings(**tokens))
    client = app.test_client()
    is_open = [
        (method, rule.rule.partition("/<path:")[0])
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - ADDED
        if client.open(rule.rule, method=method).status_code != 401
    ]
    app.extensions["flask10x"].close()
    (said,) = re.findall(OPEN[language], read(file_of("reference/http-api", language)))

    assert sorted(is_open) == sorted(("GET", path) for path in re.findall("`([^`]+)`", said))


@in_both_languages
def test_each_derived_value_is_in_the_table(language: str) -> None:
    rows = table(read(file_of("howto/derived-values", language)))
    documented = {
        match[1]: (unit, [int(number) for number in re.findall(r"-?\d+", within)])
        for name, (unit, _, within) in rows.items()
        if (match := re.match(r"`(\w+)`", name))
    }
    computed = {
        name: (kind.unit, [*chain(*kind.limits)] + [HIGHEST_M] * kind.needs_altitude)
        for name, kind in KINDS.items()
    }

    assert [*documented.items()] == [*computed.items()]


@in_both_languages
def test_the_limits_of_requests_are_the_programs(language: str) -> None:
    rows = table(section(read(file_of("explanation/security", language)), LIMITS[language]))
    body, _rows, parameters, readings, *_ = [cells[0] for cells in rows.values()][1:]

    assert parameters == str(MAX_PARAMETERS)
    assert readings.split()[0] == f"{ITEMS_MAX:,}"
    assert body.startswith(f"{BODY_MAX_BYTES // 1024} KiB")
    assert f"{BATCH_MAX_BYTES // 1024**2} MiB" in body


@in_both_languages
def test_each_folder_is_in_the_table_of_layers(language: str) -> None:
    text = section(read(file_of("explanation/architecture", language)), LAYERS[language])
    rows = [re.findall(r"`(\w+)/`", row) for row in re.findall(r"^\| \d+ \| .*$", text, re.M)]
    folders = ["locale", *(path.parent.name for path in PACKAGE.glob("*/__init__.py"))]

    assert sorted(folder for folder, *_ in filter(None, rows)) == sorted(folders)
    # What is inside one need not be named, but what is named is there.
    inner = [f"{folder}/{name}" for folder, *names in filter(None, rows) for name in names]
    assert [path for path in inner if not any((PACKAGE / path).glob("*.*"))] == []


def test_each_setting_is_in_the_lists_of_them() -> None:
    text = setting_lists.FILE.read_text(encoding="utf-8")
    assert setting_lists.in_environment(text) == text, "run `make lists`"
    for path, language in setting_lists.pages().items():
        text = path.read_text(encoding="utf-8")
        assert setting_lists.in_document(text, language) == text, "run `make lists`"


def test_a_new_setting_gets_its_lines_with_its_limits() -> None:
    """In the place that it has among the others, and without a word of its own."""
    text = setting_lists.FILE.read_text(encoding="utf-8")
    line = "#FLASK10X_THREADS=2\n"
    made = setting_lists.in_environment(text.replace(line, ""))
    before, _, after = made.partition(line)
    assert re.search(r"\n# [A-Z].*\n# .*\n$", before)
    assert after.startswith("#FLASK10X_HISTORY_MAX=1000\n")
    for path, language in setting_lists.pages().items():
        text = path.read_text(encoding="utf-8")
        (row,) = re.findall(r"\n\| `FLASK10X_THREADS` .*\n", text)
        made = setting_lists.in_document(text.replace(row, "\n"), language)
        assert "\n| `FLASK10X_THREADS` | `2` | `1`–`64` | " in made
