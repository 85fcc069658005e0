"""The database nodes of deploy/cluster: what they do by themselves when one of them is gone."""

import sys
from collections.abc import Iterator

import pytest

from tests.faults.cluster.database_cluster import NAME, DatabaseCluster, lacking

pytestmark = [
    pytest.mark.tools,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(lacking()), reason=f"no cluster of databases here: {lacking()}"),
]


@pytest.fixture
def cluster() -> Iterator[DatabaseCluster]:
    made = DatabaseCluster()
    try:
        made.start()
        made.wait_until_whole()
        yield made
    except BaseException:
        sys.stdout.write(made.logs())
        raise
    finally:
        made.close()


def test_a_dead_leader_is_replaced_and_nothing_committed_is_gone(cluster: DatabaseCluster) -> None:
    first = cluster.leader()
    with cluster.connected(first, NAME) as connection:
        connection.execute("CREATE TABLE numbers AS SELECT generate_series(1, 1000) AS number")
    cluster.kill_leader()

    second = cluster.leader()
    assert second is not first
    with cluster.connected(second, NAME) as connection:
        assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (1000,)

    first.start()
    cluster.wait_until_whole()
    assert cluster.leaders() == [second]
