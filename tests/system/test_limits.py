"""What the system gives, as people read it."""

import os
import re
import resource

from flask10x.system import limits


def test_what_is_in_use_and_the_limits() -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    shown = limits.in_use()
    match = re.fullmatch(r"open files (\d+) of (\d+), threads of this user (\d+) of (.+)", shown)
    assert match is not None, shown
    assert 0 < int(match[1]) <= int(match[2]) == soft
    assert int(match[3]) >= 1


def test_without_a_descriptor_there_is_a_line_too() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.open(os.devnull, os.O_RDONLY)
    os.close(probe)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe, hard))
    try:
        shown = limits.in_use()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert shown.startswith(f"open files ? of {probe}, threads of this user ")
