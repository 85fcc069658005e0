"""Waiting with a limit of time for a call that has none."""

import threading
from collections.abc import Callable


class BlockingCall:
    """Makes a call that blocks in a thread of its own, so that others can wait with a limit.

    `prepare` makes the thread, or else the first wait. One thread at a time may call `wait`.
    """

    def __init__(
        self,
        name: str,
        call: Callable[[], None],
        give_back: Callable[[], None],
        end: Callable[[], None],
    ) -> None:
        """`give_back` undoes what `call` got when nobody wants it; `end` is made by `close`."""
        self._name = name
        self._call, self._give_back, self._end = call, give_back, end
        self._changed = threading.Condition(threading.Lock())
        self._thread: threading.Thread | None = None
        self.busy = False
        """Whether the call is under way, for whoever wants it."""
        self._wanted = False
        self._closed = False
        self._error: Exception | None = None

    def prepare(self) -> None:
        """Make the thread now; raises RuntimeError when the system has none."""
        with self._changed:
            self._make_thread()

    def wait(self, timeout_sec: float) -> bool:
        """Whether the call has returned within the time; raises what it raised.

        After False it goes on: the next `wait` gets what it got, or nobody does. Raises
        RuntimeError when there is no thread and the system has none; then nothing has begun.
        """
        with self._changed:
            self._begin()
            self._wanted = True
            try:
                self._changed.wait_for(self._is_over, timeout_sec)
            finally:
                self._wanted = False
            if self.busy:
                return False
            if self._error is not None:
                raise self._error
            return True

    def close(self) -> None:
        """Make the call `end`, now or as soon as the call that is under way has returned."""
        with self._changed:
            self._closed = True
            if not self.busy:
                self._end()
            self._changed.notify_all()

    def _begin(self) -> None:
        if self.busy:
            return
        self._make_thread()
        self.busy = True
        self._changed.notify_all()

    def _make_thread(self) -> None:
        if self._thread is None:
            # A daemon: a call that blocks must not keep Python from ending.
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            thread.start()
            self._thread = thread

    def _is_over(self) -> bool:
        return not self.busy

    def _is_needed(self) -> bool:
        return self.busy or self._closed

    def _run(self) -> None:
        while self._is_asked():
            error = None
            try:
                self._call()
            except Exception as raised:
                error = raised
            self._finish(error)

    def _is_asked(self) -> bool:
        with self._changed:
            self._changed.wait_for(self._is_needed)
            return self.busy

    def _finish(self, error: Exception | None) -> None:
        with self._changed:
            self._error = error
            if error is not None or not self._wanted:
                self._give_back()
            if self._closed:
                self._end()
            # Last: who reads it takes no lock, and goes on by itself when it is False.
            self.busy = False
            self._changed.notify_all()
