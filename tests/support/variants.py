"""Which tests are variants of another one: `make soak` runs them, a commit runs the other.

A page is laid out alike in both languages, and between a phone and a desk alike. So a test of the
browser that is asked in English, 360 and 1,280 px, runs with every commit there, and with Japanese
and other widths in the long run. What a language breaks is the width of its words: `test_narrow.py`
asks each page in both.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import pytest

FOLDER, IN_BOTH = "tests/browser/", "tests/browser/test_narrow.py"
WIDTHS_PX = (320, 768, 1024, 1920)


def mark(items: Iterable[pytest.Item]) -> None:
    """Mark variants as `long` where another variant of their test is none."""
    by_test: defaultdict[str, list[pytest.Function]] = defaultdict(list)
    for item in items:
        is_of_browser = item.nodeid.startswith(FOLDER) and not item.nodeid.startswith(IN_BOTH)
        if is_of_browser and isinstance(item, pytest.Function):
            by_test[item.nodeid.partition("[")[0]].append(item)
    for tests in by_test.values():
        variants = [test for test in tests if _is_variant(test)]
        if len(variants) < len(tests):
            for test in variants:
                test.add_marker("long")


def _is_variant(test: pytest.Function) -> bool:
    values = test.callspec.params.values() if hasattr(test, "callspec") else ()
    return any(value == "ja" or _width_px(value) in WIDTHS_PX for value in values)


def _width_px(value: object) -> object:
    """Return the width of a size, or the value itself."""
    return value[0] if isinstance(value, Sequence) and len(value) == 2 else value
