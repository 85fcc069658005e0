"""Receipts that a greenlet waits for, settled by another thread."""

import threading

import gevent

from flask10x.recording.batch import Receipt
from flask10x.server.application import Threads

WITHIN_SEC = 20.0


def made() -> Receipt:
    return Threads(lambda *_: [], 1, lambda _: False, lambda *_: "others").receipt()


def settled_by_a_thread(receipts: list[Receipt], refusal: str = "") -> None:
    def settle() -> None:
        for receipt in receipts:
            receipt.settle(refusal)

    thread = threading.Thread(target=settle)
    thread.start()
    thread.join()


def test_all_of_a_batch_go_on_when_it_is_settled() -> None:
    receipts = [made() for _ in range(5)]
    waiting = [gevent.spawn(receipt.wait, WITHIN_SEC) for receipt in receipts]
    gevent.sleep(0)
    assert not any(greenlet.ready() for greenlet in waiting)
    settled_by_a_thread(receipts)
    gevent.joinall(waiting, WITHIN_SEC)
    assert [greenlet.value for greenlet in waiting] == [True] * 5
    assert {receipt.refusal for receipt in receipts} == {""}


def test_one_that_is_settled_before_it_is_waited_for() -> None:
    receipt = made()
    settled_by_a_thread([receipt], "a trigger")
    assert receipt.wait(WITHIN_SEC)
    assert receipt.refusal == "a trigger"


def test_only_the_first_time_counts() -> None:
    receipt = made()
    settled_by_a_thread([receipt])
    settled_by_a_thread([receipt], "too late")
    assert receipt.wait(WITHIN_SEC) and receipt.refusal == ""


def test_one_that_is_not_settled_in_time_may_be_so_later() -> None:
    receipt = made()
    assert not receipt.wait(0.01)
    settled_by_a_thread([receipt])
    assert receipt.wait(WITHIN_SEC)


def test_one_that_is_settled_while_the_main_thread_is_busy_is_so_in_time() -> None:
    receipt = Receipt(threading.Event(), lambda: None)
    receipt.settle()
    assert receipt.wait(0.01)
