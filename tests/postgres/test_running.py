"""The running service: through PgBouncer, beside a standby that is away, with a frozen server."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import make_services
from tests.e2e.senders import reading_of
from tests.e2e.service import Service, reserved_port, wait_until
from tests.postgres.service import NAME, WITHIN_SEC, name_standby, rows, settings_on
from tests.support.postgres import HOST, USER, PostgresServer, own_server

pytestmark = pytest.mark.tools
# Debian's; the path of a user has no `sbin`.
BOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
STORED = "SELECT count(*), count(DISTINCT gas_resistance) FROM readings"
WAITS = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
# The longest silence of a commit, a pause, and a machine that is busy.
RECOVERS_WITHIN_SEC = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with own_server() as server:
        yield server


@contextmanager
def service_on(
    server: PostgresServer, folder: Path, url: str = "", **given: Any
) -> Iterator[Service]:
    server.drop(NAME)
    settings_on(server, folder / "made")
    with make_services(folder) as make:
        yield make(database_url=url or server.url(NAME), **given)


@contextmanager
def bouncer(server: PostgresServer, folder: Path) -> Iterator[str]:
    """PgBouncer with fewer connections to the server than it has clients; its URL."""
    assert BOUNCER is not None
    with reserved_port() as port:
        pass
    file = folder / "pgbouncer.ini"
    file.write_text(
        f"[databases]\n{NAME} = host={HOST} port={server.port} user={USER}\n"
        f"[pgbouncer]\nlisten_addr = {HOST}\nlisten_port = {port}\nauth_type = any\n"
        "unix_socket_dir =\npool_mode = transaction\ndefault_pool_size = 2\n"
    )
    user = USER if os.geteuid() == 0 else None
    with file.open() as config, (folder / "pgbouncer.log").open("w") as log:
        process = subprocess.Popen(
            [BOUNCER, "/dev/stdin"],
            stdin=config,
            stdout=log,
            stderr=log,
            cwd="/",
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )
    try:
        yield f"postgresql+psycopg://{USER}@{HOST}:{port}/{NAME}"
    finally:
        process.terminate()
        process.wait()


@pytest.mark.skipif(BOUNCER is None, reason="no pgbouncer here (apt: pgbouncer)")
def test_it_works_through_pgbouncer(server: PostgresServer, tmp_path: Path) -> None:
    with (
        bouncer(server, tmp_path) as url,
        service_on(server, tmp_path, url, workers=2, ack="committed") as service,
    ):
        for number in range(20):
            assert service.post("data2", reading_of(number)).status == 200
        wait_until(lambda: service.get("/readyz").status == 200, WITHIN_SEC, "it is ready")
        for path in ("/", "/status", "/history", "/metrics", "/metrics/prometheus"):
            assert service.get(path).status == 200
        assert rows(server, STORED) == [(20, 20)]
        service.stop()
        assert not [line for line in service.log() if " ERROR " in line or " WARNING " in line]


@pytest.mark.long
def test_a_stop_ends_in_time_while_a_commit_waits_for_a_standby(
    server: PostgresServer, tmp_path: Path
) -> None:
    with service_on(server, tmp_path, workers=2, ack="committed") as service:
        assert service.post("data2", reading_of(1)).status == 200
        name_standby(server, "no_standby")
        try:
            # No sender gets the answer that it is stored.
            assert service.post("data2", reading_of(2)).status == 503
            wait_until(lambda: bool(rows(server, WAITS)), WITHIN_SEC, "a COMMIT waits")
            answer = service.get("/readyz")
            assert answer.status == 503
            assert "commits wait for a synchronous standby" in str(answer.body)
            service.stop()
        finally:
            name_standby(server, "")
        service.start()
        wait_until(lambda: rows(server, STORED) == [(2, 2)], WITHIN_SEC, "both are stored, once")


def test_a_frozen_server_and_one_that_was_killed_come_back_by_themselves(
    server: PostgresServer, tmp_path: Path
) -> None:
    with service_on(server, tmp_path, workers=2) as service:
        assert service.post("data2", reading_of(1)).status == 200
        wait_until(lambda: rows(server, STORED) == [(1, 1)], WITHIN_SEC, "it is stored")
        server.freeze()
        try:
            assert service.post("data2", reading_of(2)).status == 200
            assert service.get("/healthz").status == 200
            assert service.get("/readyz").status == 503
        finally:
            server.thaw()
        server.kill()
        assert service.post("data2", reading_of(3)).status == 200
        assert service.get("/readyz").status == 503
        server.start()
        is_ready = "it is ready again"
        wait_until(lambda: service.get("/readyz").status == 200, RECOVERS_WITHIN_SEC, is_ready)
        wait_until(lambda: rows(server, STORED) == [(3, 3)], WITHIN_SEC, "all are stored, once")
