"""The templates as Jinja has compiled them, once for the process and what it forks."""

from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader, nodes

from flask10x.server.application import CompiledTemplates, compile_all


def of(folder: Path, cache: CompiledTemplates) -> Environment:
    return Environment(loader=FileSystemLoader(folder), bytecode_cache=cache, autoescape=True)


def test_a_template_is_compiled_once_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "page.html").write_text("{{ 1 + 1 }} rows")
    cache = CompiledTemplates()
    compile_all(of(tmp_path, cache))

    def refused(*_: object) -> nodes.Template:
        raise AssertionError("compiled again")

    with monkeypatch.context() as patch:
        patch.setattr(Environment, "_parse", refused)
        assert of(tmp_path, cache).get_template("page.html").render() == "2 rows"
    (tmp_path / "page.html").write_text("changed")
    assert of(tmp_path, cache).get_template("page.html").render() == "changed"
