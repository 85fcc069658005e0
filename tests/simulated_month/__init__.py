"""A whole home over a long time: real processes, and a clock that the test sets forward."""
