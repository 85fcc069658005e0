"""What the front is made of: names that gunicorn and gevent show to everybody, and few lines."""

import ast
from pathlib import Path

import pytest
from gevent.server import StreamServer
from gunicorn.workers.ggevent import GeventWorker

import flask10x.server
from flask10x.server.worker import Listener, Worker

FOLDER = Path(flask10x.server.__file__).parent
MODULES = ("answers", "connection", "receipts", "threads", "worker")
LIBRARIES = ("gunicorn", "gevent")


def tree(name: str) -> ast.Module:
    return ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def imported(module: ast.Module) -> list[str]:
    """Names that come from the libraries, with their modules."""
    names = []
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(LIBRARIES):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names if alias.name.startswith(LIBRARIES)]
    return names


@pytest.mark.parametrize("name", MODULES)
def test_only_names_are_used_that_the_libraries_show_to_everybody(name: str) -> None:
    module = tree(name)
    used = [part for dotted in imported(module) for part in dotted.split(".")]
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            # Our own classes have private names, and only of themselves.
            assert isinstance(node.value, ast.Name) and node.value.id == "self", node.attr
    assert [part for part in used if is_private(part)] == []


@pytest.mark.parametrize(("ours", "theirs"), [(Worker, GeventWorker), (Listener, StreamServer)])
def test_nothing_private_of_a_base_class_is_replaced_or_used(ours: type, theirs: type) -> None:
    inherited = {name for base in theirs.__mro__[:-1] for name in vars(base) if is_private(name)}
    assert not inherited & vars(ours).keys()
    used = {
        node.attr
        for node in ast.walk(tree("worker"))
        if isinstance(node, ast.Attribute) and is_private(node.attr)
    }
    assert not inherited & used


def test_nothing_of_python_is_replaced() -> None:
    for name in MODULES:
        assert not [dotted for dotted in imported(tree(name)) if "monkey" in dotted]
    assert "patch" in vars(Worker), "gunicorn's own replaces sockets, threads and locks"
