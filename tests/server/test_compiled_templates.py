"""The templates as Jinja has compiled them, once for the process, its forks and the next start."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader, nodes

from flask10x.server import templates
from flask10x.server.templates import CompiledTemplates, compile_all


def of(folder: Path, cache: CompiledTemplates) -> Environment:
    return Environment(loader=FileSystemLoader(folder), bytecode_cache=cache, autoescape=True)


@pytest.fixture
def cache(tmp_path: Path) -> CompiledTemplates:
    """A page that is compiled."""
    (tmp_path / "page.html").write_text("{{ 1 + 1 }} rows")
    cache = CompiledTemplates()
    compile_all(of(tmp_path, cache))
    return cache


@contextmanager
def without_compiler() -> Iterator[None]:
    def refused(*_: object) -> nodes.Template:
        raise AssertionError("compiled again")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Environment, "_parse", refused)
        yield


def test_a_template_is_compiled_once_for_all(tmp_path: Path, cache: CompiledTemplates) -> None:
    with without_compiler():
        assert of(tmp_path, cache).get_template("page.html").render() == "2 rows"
    (tmp_path / "page.html").write_text("changed")
    assert of(tmp_path, cache).get_template("page.html").render() == "changed"


def test_the_next_start_compiles_nothing(tmp_path: Path, cache: CompiledTemplates) -> None:
    file = tmp_path / "__pycache__" / "templates.jinja"
    cache.write(file)
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    following = CompiledTemplates()
    following.read(file)
    with without_compiler():
        assert of(tmp_path, following).get_template("page.html").render() == "2 rows"
    assert not following.is_new
    (tmp_path / "page.html").write_text("changed")
    assert of(tmp_path, following).get_template("page.html").render() == "changed"
    assert following.is_new


def test_a_file_with_a_changed_bit_is_not_run(tmp_path: Path, cache: CompiledTemplates) -> None:
    file = tmp_path / "templates.jinja"
    cache.write(file)
    content = file.read_bytes()
    for place in range(0, len(content), 7):
        file.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        following = CompiledTemplates()
        following.read(file)
        assert of(tmp_path, following).get_template("page.html").render() == "2 rows"
        assert following.is_new
    for rest in (b"", b"x", content[:-1]):
        file.write_bytes(rest)
        CompiledTemplates().read(file)


def test_a_file_of_another_version_is_not_used(
    tmp_path: Path, cache: CompiledTemplates, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "templates.jinja"
    cache.write(file)
    monkeypatch.setattr(templates, "TAG", "another")
    following = CompiledTemplates()
    following.read(file)
    compile_all(of(tmp_path, following))
    assert following.is_new


def test_all_pages_are_compiled_for_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "__pycache__" / "templates.jinja"
    monkeypatch.setattr(templates, "kept", lambda: file)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for is_first in (True, False):
        cache = CompiledTemplates()
        monkeypatch.setattr(templates, "COMPILED", cache)
        templates.main()
        assert (file.exists(), cache.is_new) == (True, is_first)


def test_where_it_cannot_be_kept_it_is_compiled_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(templates, "kept", lambda: tmp_path / "file" / "templates.jinja")
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(templates, "COMPILED", cache := CompiledTemplates())
    templates.main()
    assert cache.is_new
