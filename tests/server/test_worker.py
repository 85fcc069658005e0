"""The worker's own part; what it does with clients is tested over real connections (`e2e`)."""

import os
import signal

import pytest
from gunicorn.config import Config

from flask10x.server.worker import Worker


def test_a_stop_at_once_leaves_from_the_loop_and_not_from_where_the_signal_came() -> None:
    worker = Worker(1, os.getpid(), [], None, 30, Config(), None)
    worker.method_queue.init()
    worker.alive = True

    worker.handle_quit(signal.SIGINT, None)
    assert not worker.alive
    with pytest.raises(SystemExit) as end:
        worker.method_queue.run_callbacks(None)
    assert end.value.code == 0
    worker.method_queue.close()
    worker.tmp.close()
