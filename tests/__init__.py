"""The tests; which engine they run on is read before a module of the program reads settings."""

from tests.support import databases

__all__ = ["databases"]
