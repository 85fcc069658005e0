"""`make bench`: measure the rows of the tables, one after the other, and write the page."""

import argparse
import sys
import time

from benchmarks import (
    against,
    beside,
    boards,
    engines,
    growth,
    hosts,
    ingest,
    nights,
    report,
    results,
    servers,
    snapshot,
    statements,
    verify,
)
from benchmarks.servers import Bench, Row

FOLDER = results.PROJECT / "build" / "bench"
ROWS: dict[str, Row] = ingest.ROWS | beside.ROWS
# Those that `make bench` leaves to `make bench-growth`, `-engines`, `-boards` and `--only`.
LONG_ROWS: dict[str, Row] = (
    {"growth": growth.growth}
    | engines.ROWS
    | hosts.ROWS
    | snapshot.ROWS
    | boards.ROWS
    | statements.ROWS
    | verify.ROWS
    | nights.ROWS
)


def main() -> int:
    """0 when all was measured; 1 when something lacks, with what to install on stderr."""
    given = _arguments()
    bench = Bench(FOLDER, given.rounds, given.seconds, given.rows, given.hour)
    if given.against:
        against.compare(given.against, bench)
        return 0
    if not given.render:
        if not servers.COMPILER:
            print("a C compiler is missing: sudo apt install gcc libc6-dev", file=sys.stderr)
            return 1
        is_kept = not given.rows
        for name in given.only or list(ROWS):
            _measure(name, bench, is_kept)
        if not is_kept:
            return 0
    report.write()
    # matplotlib is needed only here: it is in the extra `bench`.
    from benchmarks import pictures  # noqa: PLC0415

    for file in pictures.write(results.read()[1]):
        print(file)
    return 0


def _measure(name: str, bench: Bench, is_kept: bool) -> None:
    started_sec, on = time.perf_counter(), results.taken()
    runs: list[results.Run] = []
    try:
        for run in (ROWS | LONG_ROWS)[name](bench):
            runs.append(run)
            shown = ", ".join(f"{key} {report.number(value)}" for key, value in run.values.items())
            print(f"{name} {run.round} {run.side}: {shown}", flush=True)
    finally:
        # Of what ended early, too: the largest size may be too large.
        if runs and is_kept:
            results.replace(name, runs, on)
    if name in engines.ROWS:
        print("\n".join(report.engines_table(runs, 0)))
    print(f"{name}: {time.perf_counter() - started_sec:.0f} s\n", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", metavar="ROW", choices=[*ROWS, *LONG_ROWS],
        help=f"these rows, of {', '.join(ROWS | LONG_ROWS)}; all but the last {len(LONG_ROWS)}",
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, default=5, help="how often each side (default 5)")
    parser.add_argument("--seconds", type=int, default=4, help="of a run at full load (default 4)")
    parser.add_argument("--rows", type=int, help="so many readings in each database; only print")
    parser.add_argument(
        "--hour", type=int, default=300, metavar="SEC",
        help="how long an hour of `statements` takes (default 300; 3600 is the true pace)",
    )  # fmt: skip
    parser.add_argument("--against", metavar="COMMIT", help="only compare with another commit")
    parser.add_argument("--render", action="store_true", help="measure nothing, write the page")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
