"""Receipts for requests that wait for their commit in a greenlet."""

from collections import deque
from collections.abc import Callable

from gevent import get_hub
from gevent.event import Event

from flask10x.recording.batch import Receipt


class Receipts:
    """Makes the receipts of a worker; a batch that settles many wakes the main thread once."""

    def __init__(self) -> None:
        self._settled: deque[Event] = deque()
        self._waker = get_hub().loop.async_()
        self._waker.start(self._wake)

    def new(self) -> "GreenletReceipt":
        """A receipt for a request of the main thread."""
        return GreenletReceipt(self._note)

    def _note(self, settled: Event) -> None:
        self._settled.append(settled)
        self._waker.send()

    def _wake(self) -> None:
        while self._settled:
            self._settled.popleft().set()


class GreenletReceipt(Receipt):
    """A receipt that is waited for in the main thread, by one greenlet and no thread."""

    __slots__ = ("_event", "_is_settled", "_note")

    def __init__(self, note: Callable[[Event], None]) -> None:
        self._event, self._note = Event(), note
        self._is_settled, self.refusal = False, ""

    def settle(self, refusal: str = "") -> None:
        """As the one of threads; called from the writer's thread."""
        if not self._is_settled:
            self.refusal, self._is_settled = refusal, True
            self._note(self._event)

    def wait(self, timeout_sec: float) -> bool:
        """As the one of threads; settled in time is what is so before the main thread is woken."""
        return bool(self._event.wait(timeout_sec)) or self._is_settled
