"""The settings that a worker gives to the process that sends.

What stands in the files may have a mistake by now which a reload has refused, or may be more than
the service has taken over; messages go by what the service works by.
"""

import pickle
from typing import IO

import flask10x
from flask10x.config.settings import Settings


def packed(settings: Settings) -> bytes:
    """What `unpacked` reads in the other process, of this user."""
    return pickle.dumps((flask10x.__version__, settings))


def unpacked(given: IO[bytes]) -> Settings | None:
    """The settings; None when the program was renewed under the running service."""
    try:
        # From our own worker.
        version, settings = pickle.load(given)  # noqa: S301
    except Exception:
        # Whatever a class that has changed makes of it.
        return None
    is_ours = version == flask10x.__version__ and isinstance(settings, Settings)
    return settings if is_ours else None
