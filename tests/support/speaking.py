"""The language of the command line, within a test."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from flask10x.commands import translated


@contextmanager
def speaking(name: str) -> Iterator[None]:
    """`ja` or `en` for the messages that are made in the block; English afterwards."""
    before = os.environ["LANGUAGE"]
    os.environ["LANGUAGE"] = name
    translated.choose_language({"LANGUAGE": name})
    try:
        yield
    finally:
        os.environ["LANGUAGE"] = before
        translated.speak_english()
