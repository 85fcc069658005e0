"""The database nodes of deploy/cluster: what they do by themselves when one of them is gone."""

import sys
from collections.abc import Iterator

import pytest

from tests.faults.cluster.bounds import BOUNDS
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
    finally:
        # Shown of a test that has failed.
        sys.stdout.write(made.logs())
        made.close()


def test_a_dead_leader_is_replaced_and_nothing_committed_is_gone(cluster: DatabaseCluster) -> None:
    first, timeline = cluster.leader(), cluster.timeline()
    with cluster.connected(first, NAME) as connection:
        connection.execute("CREATE TABLE numbers AS SELECT generate_series(1, 1000) AS number")
    cluster.kill_leader()

    second = cluster.leader(BOUNDS["pg-leader-killed"].within_sec)
    assert second is not first
    assert cluster.timeline() > timeline
    with cluster.connected(second, NAME) as connection:
        assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (1000,)

    first.start()
    cluster.wait_until_whole()
    assert cluster.leaders() == [second]
