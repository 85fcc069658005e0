"""Fixtures: services that are real processes, each over a folder of its own."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from tests.e2e import load
from tests.e2e.service import Service, reserved_port

OUTPUT_SHOWN_LINES = 80


class MakeService(Protocol):
    """Start a service with these settings, named without their prefix."""

    def __call__(self, *, start: bool = True, **settings: object) -> Service: ...


@contextmanager
def make_services(folder: Path) -> Iterator[MakeService]:
    """A factory of services, all over the same folder; they are ended when the block ends."""
    with ExitStack() as stack:

        def make(*, start: bool = True, **settings: object) -> Service:
            made = Service(folder, stack.enter_context(reserved_port()), settings)
            stack.callback(_close, made)
            if start:
                made.start()
            return made

        yield make


def _close(service: Service) -> None:
    """End the service and show the end of its output, which pytest prints when a test fails."""
    service.discard()
    lines = service.output().splitlines(keepends=True)
    sys.stdout.write("".join(lines[-OUTPUT_SHOWN_LINES:]))


@pytest.fixture(autouse=True)
def flood(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the long run each client posts as fast as it is answered."""
    if request.node.get_closest_marker("long"):
        monkeypatch.setattr(load, "REST_SEC", 0.0)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[MakeService]:
    """A factory of services over the test's own folder."""
    with make_services(tmp_path) as make:
        yield make


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all tests of a module that leave it running."""
    with make_services(tmp_path_factory.mktemp("running")) as make:
        yield make(commit_interval_sec=0)
