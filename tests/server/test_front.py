"""What the front takes from gunicorn and gevent: the names are all listed, and none is private."""

import ast
from pathlib import Path

import pytest
from gevent.server import StreamServer
from gunicorn import http
from gunicorn.workers.ggevent import GeventWorker

import flask10x.server
from flask10x.server.request import Request, Requests
from flask10x.server.worker import Listener, Worker

FOLDER = Path(flask10x.server.__file__).parent
MODULES = ("answer", "application", "connection", "refusals", "request", "worker")
LIBRARIES = ("gunicorn", "gevent")
# One that is new here is a thing that the next release of a library may change.
IMPORTED = {
    "gevent",
    "gevent.event.Event",
    "gevent.get_hub",
    "gevent.os.make_nonblocking",
    "gevent.os.nb_write",
    "gevent.pool.Pool",
    "gevent.server.StreamServer",
    "gevent.socket.wait",
    "gevent.socket.wait_read",
    "gevent.socket.wait_write",
    "gevent.threadpool.ThreadPool",
    "gunicorn.http",
    "gunicorn.http.body.Body",
    "gunicorn.http.body.LengthReader",
    "gunicorn.http.errors.InvalidChunkSize",
    "gunicorn.http.errors.InvalidHeader",
    "gunicorn.http.errors.LimitRequestHeaders",
    "gunicorn.http.errors.ParseException",
    "gunicorn.http.wsgi.Response",
    "gunicorn.http.wsgi.create",
    "gunicorn.util",
    "gunicorn.workers.ggevent.GeventWorker",
}
OVERRIDDEN: dict[type, set[str]] = {
    Worker: {
        *("__init__", "handle", "handle_error", "handle_request"),
        *("notify", "patch", "run", "timeout_ctx"),
    },
    Listener: {"__init__", "do_read", "max_accept"},
    Request: {"parse_headers", "set_body_reader"},
    Requests: {"__init__", "__next__", "mesg_class"},
}
# What a worker, a listener and a request have from the libraries, and we use. Gunicorn has no
# documentation of a request: REQUEST is what may change first.
INHERITED: dict[type, set[str]] = {
    Worker: {
        "PIPE",
        "alive",
        "cfg",
        "log",
        "ppid",
        "sockets",
        "tmp",
        "worker_connections",
        "wsgi",
    },
    Listener: {"socket"},
    Request: {"force_close", "headers", "method", "must_close", "proxy_protocol_info", "query"},
    Requests: {"finish_body", "mesg", "req_count", "source_addr", "unreader"},
}
REQUEST = {"body", "force_close", "should_close", "unreader", "version"}
# What ours has beside that.
OWN = {"conflicts", "head"}


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
def test_only_public_names_of_the_libraries_are_used(name: str) -> None:
    module = tree(name)
    used = [part for dotted in imported(module) for part in dotted.split(".")]
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            # Our own classes have private names, and only of themselves.
            assert isinstance(node.value, ast.Name) and node.value.id == "self", node.attr
    assert [part for part in used if is_private(part)] == []


def test_no_name_is_imported_that_is_not_listed() -> None:
    assert {name for module in MODULES for name in imported(tree(module))} == IMPORTED


@pytest.mark.parametrize("ours", [Worker, Listener, Request, Requests])
def test_no_name_is_overridden_or_used_that_is_not_listed(ours: type) -> None:
    inherited = {name for base in ours.__mro__[1:-1] for name in vars(base)}
    plain = {"__doc__", "__module__", "__firstlineno__", "__static_attributes__"}
    assert (vars(ours).keys() & inherited) - plain == OVERRIDDEN[ours]
    (body,) = [
        node
        for node in tree(ours.__module__.rpartition(".")[2]).body
        if isinstance(node, ast.ClassDef) and node.name == ours.__name__
    ]
    of_self = attributes(body, "self")
    made = {
        node.attr
        for node in ast.walk(body)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }
    # Set here, but theirs; and what `gunicorn_conf` gives a worker.
    made -= INHERITED[ours]
    assert of_self - made - vars(ours).keys() == INHERITED[ours]
    assert attributes(body, "req") - OWN == (REQUEST if ours is Worker else set())


@pytest.mark.parametrize("name", MODULES)
def test_no_more_is_asked_of_a_request(name: str) -> None:
    """Where it is the one of a connection."""
    asked = {
        node.attr
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "request"
    }
    assert asked <= REQUEST | OWN


def attributes(tree: ast.AST, of: str) -> set[str]:
    """The names behind the dot of a variable."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == of
    }


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Worker, GeventWorker),
        (Listener, StreamServer),
        (Request, http.Request),
        (Requests, http.RequestParser),
    ],
)
def test_nothing_private_of_a_base_class_is_replaced_or_used(ours: type, theirs: type) -> None:
    inherited = {name for base in theirs.__mro__[:-1] for name in vars(base) if is_private(name)}
    assert not inherited & vars(ours).keys()
    used = {
        node.attr
        for node in ast.walk(tree(ours.__module__.rpartition(".")[2]))
        if isinstance(node, ast.Attribute) and is_private(node.attr)
    }
    assert not inherited & used


def test_nothing_of_python_is_replaced() -> None:
    for name in MODULES:
        assert not [dotted for dotted in imported(tree(name)) if "monkey" in dotted]
    assert "patch" in vars(Worker), "gunicorn's own replaces sockets, threads and locks"
