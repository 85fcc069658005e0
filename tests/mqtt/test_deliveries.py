"""Which delivery of a broker is a new message, and which one comes once more."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flask10x.mqtt.subscriber import Deliveries

HIGHEST_NUMBER = 65_535
WARM, COLD = b"home/balcony\0{25}", b"home/balcony\0{5}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deliveries"


@pytest.fixture
def deliveries(path: Path) -> Iterator[Deliveries]:
    opened = Deliveries(path)
    yield opened
    opened.close()


def test_a_number_that_was_acknowledged_brings_a_new_message(deliveries: Deliveries) -> None:
    """Some brokers count, others take the lowest number that is free: equal readings are many."""
    came = []
    for _ in range(3):
        came.append(deliveries.first_came_ns(1, WARM, is_marked=False))
        deliveries.note_acknowledged(1)
    assert came == sorted(set(came))


def test_what_was_not_acknowledged_comes_once_more(deliveries: Deliveries) -> None:
    came = deliveries.first_came_ns(7, WARM, is_marked=False)
    assert deliveries.first_came_ns(7, WARM, is_marked=True) == came
    # A broker that was killed has forgotten that it had tried.
    assert deliveries.first_came_ns(7, WARM, is_marked=False) == came


def test_an_acknowledgement_that_the_broker_never_got(deliveries: Deliveries) -> None:
    came = deliveries.first_came_ns(HIGHEST_NUMBER, WARM, is_marked=False)
    deliveries.note_acknowledged(HIGHEST_NUMBER)
    assert deliveries.first_came_ns(HIGHEST_NUMBER, WARM, is_marked=True) == came


def test_another_message_under_the_same_number(deliveries: Deliveries) -> None:
    came = deliveries.first_came_ns(7, WARM, is_marked=False)
    assert deliveries.first_came_ns(7, COLD, is_marked=True) > came


def test_they_are_recognised_after_a_restart(path: Path, deliveries: Deliveries) -> None:
    came = deliveries.first_came_ns(7, WARM, is_marked=False)
    again = Deliveries(path)
    assert again.first_came_ns(7, WARM, is_marked=True) == came
    assert again.first_came_ns(8, WARM, is_marked=True) > came
    again.close()
    assert path.stat().st_size < 1000


def test_a_new_session_counts_from_the_beginning(deliveries: Deliveries) -> None:
    came = deliveries.first_came_ns(1, WARM, is_marked=False)
    deliveries.forget()
    assert deliveries.first_came_ns(1, WARM, is_marked=False) > came
