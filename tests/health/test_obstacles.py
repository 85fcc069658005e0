"""Obstacles are reported without a query, but for the look whether the file can be locked."""

import pytest

from flask10x.health import database
from flask10x.runtime.store import Store


@pytest.mark.sqlite_only("a damage that is known")
def test_an_obstacle_is_reported_without_a_look_at_the_file(store: Store) -> None:
    assert database.obstacles_met(store.database, store.writer, store.gauges) == []
    assert database.obstacles(store.database, store.writer, store.gauges) == []
    store.gauges.slot(7).trouble = 1
    store.database.path.unlink()
    obstacles = database.obstacles_met(store.database, store.writer, store.gauges)
    assert [obstacle.text for obstacle in obstacles] == ["another worker cannot store readings"]


def test_damage_is_the_only_reason(store: Store) -> None:
    store.writer.dead = True
    store.gauges.damage = "page 5 is no page"
    obstacles = database.obstacles(store.database, store.writer, store.gauges)
    assert [obstacle.text for obstacle in obstacles] == [
        "the database is damaged: page 5 is no page"
    ]
