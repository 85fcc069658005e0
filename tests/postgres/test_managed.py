"""PostgreSQL as others run it for people: no superuser, PgBouncer between, TLS, changing passwords.

All are real: PgBouncer gives each transaction another session, the server has a certificate of an
authority of the test's own, and the password changes while the service runs.
"""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from flask import Flask

from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.database import schema
from flask10x.errors import DatabaseUnreachable
from flask10x.export.append import export
from flask10x.maintenance.backup import backup
from flask10x.maintenance.check import check
from flask10x.web.app import create_app
from tests.e2e.service import wait_until
from tests.support.postgres import HOST, PostgresServer, own_server

pytestmark = pytest.mark.tools
NAME, ROLE = "house", "flask10x"
WITHIN_SEC = 60.0
# Fewer sessions than a worker has connections, so that they change.
SESSIONS = 3
PICO = {"temperature": 25.1, "pressure": 1013.25}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`ca.crt`, `other.crt`, and `server.crt` of the first for `localhost` alone."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here")
    folder = Path("/dev/shm" if Path("/dev/shm").is_dir() else "/tmp") / f"tls-{os.getpid()}"
    folder.mkdir(mode=0o755)
    try:
        for name in ("ca", "other"):
            _openssl(
                *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
                *("-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt"),
                folder=folder,
            )
        (folder / "names").write_text("subjectAltName=DNS:localhost\n")
        _openssl(
            *("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=server"),
            *("-keyout", "server.key", "-out", "server.csr"),
            folder=folder,
        )
        _openssl(
            *("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key"),
            *("-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "server.crt"),
            folder=folder,
        )
        (folder / "server.key").chmod(0o600)
        if os.geteuid() == 0:
            shutil.chown(folder / "server.key", "postgres", "postgres")
        yield folder
    finally:
        shutil.rmtree(folder)


def _openssl(*words: str, folder: Path) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def server(certificates: Path) -> Iterator[PostgresServer]:
    """A server where the role owns its database and nothing else, and needs its password."""
    with own_server(
        ssl="on",
        ssl_cert_file=certificates / "server.crt",
        ssl_key_file=certificates / "server.key",
    ) as server:
        with server.connect() as connection:
            connection.execute(f"CREATE ROLE {ROLE} LOGIN NOSUPERUSER PASSWORD 'first'".encode())
        rules = server.data / "pg_hba.conf"
        rules.write_text(
            f"host all {ROLE} 127.0.0.1/32 scram-sha-256\n{rules.read_text(encoding='utf-8')}",
            encoding="utf-8",
        )
        with server.connect() as connection:
            connection.execute("SELECT pg_reload_conf()")
        yield server


@pytest.fixture
def empty(server: PostgresServer) -> PostgresServer:
    """With a database of the role's own, and the first password."""
    server.drop(NAME)
    server.create(NAME)
    with server.connect() as connection:
        connection.execute(f"ALTER DATABASE {NAME} OWNER TO {ROLE}".encode())
        connection.execute(f"ALTER ROLE {ROLE} PASSWORD 'first'".encode())
    return server


def settings_of(folder: Path, url: str, **given: object) -> Settings:
    values = {
        "DATA_DIR": folder,
        "DATABASE_URL": url,
        "TIMEZONE": "Asia/Tokyo",
        "ACK": "committed",
        "ACK_TIMEOUT_SEC": 8,
        "QUERY_TIMEOUT_SEC": 60,
    }
    return settings_module.load({f"FLASK10X_{n}": str(v) for n, v in (values | given).items()})


def url_of(port: int, password: str = "", options: str = "", host: str = HOST) -> str:
    account = f"{ROLE}:{password}" if password else ROLE
    return f"postgresql+psycopg://{account}@{host}:{port}/{NAME}{options}"


@contextmanager
def application(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    store = app.extensions["flask10x"]
    store.open()
    try:
        yield app
    finally:
        store.close()


def stored(server: PostgresServer) -> list[float]:
    with server.connect(NAME) as connection:
        found = connection.execute("SELECT temperature FROM readings ORDER BY id").fetchall()
    return [temperature for (temperature,) in found]


@contextmanager
def pgbouncer(server: PostgresServer, folder: Path) -> Iterator[int]:
    """PgBouncer before the server, a session for each transaction; its port."""
    program = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
    if program is None:
        pytest.skip("no pgbouncer here (apt: pgbouncer)")
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    (folder / "users.txt").write_text(f'"{ROLE}" "first"\n')
    (folder / "pgbouncer.ini").write_text(f"""
[databases]
{NAME} = host={HOST} port={server.port}
[pgbouncer]
listen_addr = {HOST}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users.txt
pool_mode = transaction
default_pool_size = {SESSIONS}
""")
    user: dict[str, object] = {}
    if os.geteuid() == 0:
        # It refuses to run as root.
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, "postgres", "postgres")
        user = {"user": "postgres", "group": "postgres", "extra_groups": []}
    process = subprocess.Popen(
        [program, str(folder / "pgbouncer.ini")],
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **user,  # type: ignore[call-overload]
    )
    try:
        wait_until(lambda: _listens(port), WITHIN_SEC, "PgBouncer listens")
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(WITHIN_SEC)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((HOST, port), 1):
        return True
    return False


@pytest.fixture
def bouncing(empty: PostgresServer) -> Iterator[int]:
    folder = Path(f"/tmp/pgbouncer-{os.getpid()}")
    folder.mkdir(mode=0o755)
    try:
        with pgbouncer(empty, folder) as port:
            yield port
    finally:
        shutil.rmtree(folder)


def test_all_works_behind_pgbouncer_in_transaction_mode(
    empty: PostgresServer, bouncing: int, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path / "data", url_of(bouncing, "first"))
    schema.upgrade(settings)
    with application(settings) as app:
        client = app.test_client()
        for number in range(40):
            reading = PICO | {"temperature": number}
            keyed = {"Idempotency-Key": str(number)}
            for _ in range(2):
                answer = client.post("/data", json=reading, headers=keyed)
                assert answer.status_code == 200, answer.text
            for path in ("/", "/history", "/history/series?from=-24h", "/status", "/readyz"):
                assert client.get(path).status_code == 200, path
        assert stored(empty) == [float(number) for number in range(40)]
        holders = "SELECT count(*) FROM leases WHERE name IN ('monitor', 'alerts')"
        wait_until(lambda: _count(empty, holders) == 2, WITHIN_SEC, "the host has its leases")
        database = app.extensions["flask10x"].database
        export(settings, database)
        assert (settings.csv_dir / "PicodataX.csv").read_bytes().count(b"\r\n") == 41
        assert backup(settings, tmp_path / "backups").rows == 40
    levels = {finding.name: finding.level for finding in check(settings)}
    assert "FAIL" not in levels.values()
    asked = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'flask10x'"
    assert 0 < _count(empty, asked) <= SESSIONS


def _count(server: PostgresServer, query: str) -> int:
    with server.connect(NAME) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


def test_the_server_has_to_be_the_one_of_the_certificate(
    empty: PostgresServer, certificates: Path, tmp_path: Path
) -> None:
    def settings(ca: str, host: str) -> Settings:
        options = f"?sslmode=verify-full&sslrootcert={certificates}/{ca}.crt&hostaddr={HOST}"
        folder = tmp_path / f"{ca}-{host}"
        return settings_of(folder, url_of(empty.port, "first", options, host))

    right = settings("ca", "localhost")
    schema.upgrade(right)
    with application(right) as app:
        assert app.test_client().post("/data", json=PICO).status_code == 200
        encrypted = (
            "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
            " WHERE usename = 'flask10x' AND NOT ssl"
        )
        assert _count(empty, encrypted) == 0
    with pytest.raises(DatabaseUnreachable, match="certificate verify failed"):
        schema.upgrade(settings("other", "localhost"))
    with pytest.raises(DatabaseUnreachable, match="does not match host name"):
        schema.upgrade(settings("ca", "db.example"))


@pytest.mark.parametrize("place", ["PGPASSFILE", "passfile"])
def test_a_password_changes_while_the_service_runs(
    empty: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Each connection reads the file; until it has the password what comes waits."""
    file = tmp_path / "passwords"
    note_password(file, "first")
    if place == "PGPASSFILE":
        monkeypatch.setenv(place, str(file))
    options = f"?passfile={file}" if place == "passfile" else ""
    settings = settings_of(tmp_path / "data", url_of(empty.port, options=options), ACK="enqueued")
    schema.upgrade(settings)
    with application(settings) as app:
        assert app.test_client().post("/data", json=PICO | {"temperature": 1}).status_code == 200
        wait_until(lambda: stored(empty) == [1], WITHIN_SEC, "the first is stored")
        with empty.connect() as connection:
            connection.execute(f"ALTER ROLE {ROLE} PASSWORD 'second'".encode())
            ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"
            connection.execute(ended, (ROLE,))
        assert app.test_client().post("/data", json=PICO | {"temperature": 2}).status_code == 200
        store = app.extensions["flask10x"]
        wait_until(
            lambda: "password" in store.database.no_answer, WITHIN_SEC, "the password is refused"
        )
        assert stored(empty) == [1]
        note_password(file, "second")
        wait_until(lambda: stored(empty) == [1, 2], WITHIN_SEC, "the second is stored")
        assert app.test_client().get("/history").status_code == 200


def note_password(file: Path, password: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(f"*:*:*:{ROLE}:{password}\n", encoding="utf-8")
    new.chmod(0o600)
    new.replace(file)
