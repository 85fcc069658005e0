"""What an operator reads when the server refuses: what it is, and what helps against it."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database import schema
from flask10x.database.error_codes import is_busy, reason_of
from flask10x.errors import DatabaseUnreachable
from flask10x.web.app import create_app
from tests.postgres.hosts import Hosts
from tests.postgres.service import writer_on
from tests.support import postgres
from tests.support.rows import pico

ROLE = "plain"
GRANTS = (
    f"GRANT USAGE, CREATE ON SCHEMA public TO {ROLE};"
    f" GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {ROLE}"
)
LACKS = f"the role lacks a right; as the owner of the tables: {GRANTS}"


@pytest.fixture
def plain(hosts: Hosts) -> Settings:
    """Settings with a role that has been granted nothing but to connect."""
    # Another test may make it at the same moment.
    hosts.run(
        f"DO $$ BEGIN CREATE ROLE {ROLE} LOGIN;"
        " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )
    settings = hosts.settings("one")
    url = settings.database_url.replace(f"//{postgres.USER}@", f"//{ROLE}@")
    return replace(settings, database_url=url)


def readyz(settings: Settings) -> tuple[int, dict[str, Any]]:
    app = create_app(settings)
    try:
        answer = app.test_client().get("/readyz")
        return answer.status_code, answer.get_json()
    finally:
        app.extensions["flask10x"].close()


def test_a_role_without_rights_gets_the_grants_that_it_needs(hosts: Hosts, plain: Settings) -> None:
    with pytest.raises(DatabaseUnreachable) as caught:
        schema.upgrade(plain)
    assert str(caught.value).endswith(
        f" cannot be read: 42501: permission denied for table alembic_version; {LACKS}"
    )
    hosts.run(GRANTS)
    schema.upgrade(plain)
    with writer_on(plain) as writer:
        writer.submit(pico(1))
        assert writer.step() == 1
    assert readyz(plain)[0] == 200


def test_rights_that_are_taken_from_a_running_service_are_named(
    hosts: Hosts, plain: Settings
) -> None:
    hosts.run(GRANTS)
    hosts.run(f"REVOKE INSERT ON readings FROM {ROLE}")
    with writer_on(plain) as writer:
        writer.submit(pico(1))
        assert writer.step() == 0
        assert writer.trouble == f"42501: permission denied for table readings; {LACKS}"
        hosts.run(GRANTS)
        assert writer.step() == 1


def test_a_schema_that_the_role_may_not_use_does_not_look_like_one_without_tables(
    hosts: Hosts, plain: Settings
) -> None:
    hosts.run("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    with pytest.raises(DatabaseUnreachable) as caught:
        schema.upgrade(plain)
    assert str(caught.value).endswith(f"; {LACKS}")
    hosts.run(GRANTS)
    schema.upgrade(plain)


def test_a_role_that_may_not_connect_gets_the_grant_for_it(hosts: Hosts, plain: Settings) -> None:
    hosts.run(f'REVOKE CONNECT ON DATABASE "{hosts.name}" FROM PUBLIC')
    with pytest.raises(DatabaseUnreachable) as caught:
        schema.upgrade(plain)
    grant = f"GRANT CONNECT ON DATABASE {hosts.name} TO {ROLE}"
    assert str(caught.value).endswith(
        f"; the role may not connect; as the owner of the database: {grant}"
    )
    hosts.run(grant)
    hosts.run(GRANTS)
    schema.upgrade(plain)


def test_a_lost_row_of_the_log_is_named_with_the_statement_that_puts_it_back(hosts: Hosts) -> None:
    settings = hosts.settings("one")
    with writer_on(settings) as writer:
        for _ in range(2):
            writer.submit(pico(1))
        assert writer.step() == 2
        hosts.run("DELETE FROM readings WHERE id = 2")
        hosts.run("INSERT INTO followers (name, last_id) VALUES ('rollups', 2)")
        hosts.run("DELETE FROM log WHERE name = 'readings'")
        writer.submit(pico(3))
        assert writer.step() == 0
        said, _, put_back = writer.trouble.partition("as the owner of the tables: ")
        assert said == (
            "TurnLost: the table log has lost its row 'readings', and nothing is stored before it"
            " is back; "
        )
        status, answer = readyz(settings)
        assert status == 503
        assert answer["reasons"] == [f"the database cannot be written: {writer.trouble}"]
        hosts.run(put_back)
        assert writer.step() == 1
    # The id of a row that was removed is not used twice.
    assert hosts.run("SELECT id, pressure FROM readings ORDER BY id") == [(1, 1.0), (3, 3.0)]


TURN = "SELECT last_id FROM log WHERE name = 'readings' FOR UPDATE"


@pytest.mark.parametrize(
    ("lock", "shown"),
    [
        (TURN, ": SELECT"),
        ("\n  lock TABLE log", ": lock"),
        ("-- geheim\nLOCK TABLE log", ""),
    ],
)
def test_who_holds_what_a_commit_needs_is_named(hosts: Hosts, lock: str, shown: str) -> None:
    with (
        postgres.shared().connect(hosts.name) as holder,
        holder.transaction(),
        writer_on(hosts.settings("one")) as writer,
    ):
        holder.execute("SET LOCAL application_name = 'flask10x other'")
        holder.execute(lock.encode())
        pid = holder.info.backend_pid
        writer.submit(pico(1))
        assert writer.step() == 0
        reason = "55P03: canceling statement due to lock timeout"
        assert writer.trouble.startswith(
            f"{reason}; held by flask10x other (process {pid}, 127.0.0.1, for "
        )
        assert writer.trouble.endswith(f" s, idle in transaction){shown}")
        status, answer = readyz(hosts.settings("two"))
        assert status == 503
        (why,) = answer["reasons"]
        assert why.startswith("the database cannot be written: 55P03: ")
        assert f"; held by flask10x other (process {pid}, " in why


@pytest.mark.parametrize(
    ("statement", "keyword"),
    [
        ("ALTER ROLE plain PASSWORD $$geheim$$", "ALTER"),
        ("ALTER/* geheim */ ROLE plain PASSWORD $x$geheim$x$", "ALTER"),
        (r"SELECT E'it\'s', 'geheim'", "SELECT"),
        ("COMMENT ON TABLE log IS U&'geheim' -- geheim", "COMMENT"),
    ],
)
@pytest.mark.usefixtures("plain")
def test_of_a_statement_only_its_keyword_is_shown(
    hosts: Hosts, statement: str, keyword: str
) -> None:
    with (
        postgres.shared().connect(hosts.name) as holder,
        holder.transaction(),
        writer_on(hosts.settings("one")) as writer,
    ):
        holder.execute(TURN.encode())
        holder.execute(statement.encode())
        writer.submit(pico(1))
        assert writer.step() == 0
        assert writer.trouble.endswith(f" s, idle in transaction): {keyword}")
        _, answer = readyz(hosts.settings("two"))
        assert "geheim" not in str(answer)


def test_a_host_that_waits_sees_the_name_of_the_one_that_holds_the_lock(hosts: Hosts) -> None:
    one, other = hosts.database("one"), hosts.database("other")
    with one.commit(), pytest.raises(DBAPIError) as caught, other.commit():
        pass
    assert is_busy(caught.value)
    assert "; held by flask10x one (process " in reason_of(caught.value)


def test_a_role_that_is_read_only_gets_that_reason(hosts: Hosts) -> None:
    read_only = "SET default_transaction_read_only = on"
    hosts.run(f'ALTER DATABASE "{hosts.name}" {read_only}')
    with pytest.raises(DBAPIError) as caught, hosts.database("one").commit():
        pass
    assert reason_of(caught.value).endswith(
        "; the role or the database is read-only (default_transaction_read_only)"
    )
