"""Waiting with a limit of time for a call that has none."""

import threading

import pytest

from flask10x.system.locks import BlockingCall


def test_it_is_busy_until_an_unwanted_result_is_given_back() -> None:
    """Who found it idle went on while it was still giving back, and had two places in the line."""
    returns, given_back = threading.Event(), threading.Event()
    seen: list[bool] = []

    def wait() -> None:
        returns.wait()

    def give_back() -> None:
        seen.append(call.busy)
        given_back.set()

    call = BlockingCall("call", wait, give_back, lambda: None)
    assert not call.wait(0)
    returns.set()
    given_back.wait()

    assert seen == [True]
    assert call.wait(30)
    call.close()


def test_after_the_limit_the_next_wait_gets_what_the_call_got() -> None:
    returns = threading.Event()
    calls: list[int] = []

    def wait() -> None:
        calls.append(1)
        returns.wait()

    call = BlockingCall("call", wait, lambda: None, lambda: None)
    assert not call.wait(0.001)
    waiting = threading.Thread(target=lambda: calls.append(10 * call.wait(30)))
    waiting.start()
    while not call._has_waiter:
        waiting.join(0.001)
    returns.set()
    waiting.join()

    assert calls == [1, 10]
    call.close()


def test_a_call_whose_thread_is_prepared_needs_none_later(monkeypatch: pytest.MonkeyPatch) -> None:
    call = BlockingCall("prepared", lambda: None, lambda: None, lambda: None)
    call.prepare()

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    assert call.wait(60)

    call.close()


def test_a_call_without_a_thread_has_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    given_back: list[str] = []
    call = BlockingCall("none", lambda: None, lambda: given_back.append("it"), lambda: None)

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as without_threads:
        without_threads.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            call.wait(60)

    assert not call.busy
    assert call.wait(60)
    assert given_back == []
    call.close()
