"""`make bench`: measure the rows of the table, one after the other, and write the page."""

import argparse
import sys
import time
from functools import partial

from benchmarks.bench import against, beside, growth, ingest, plots, report, results, slow_sync, wrk
from benchmarks.bench.rows import Bench, Row

FOLDER = results.PROJECT / "build" / "bench"
GROWTH = "growth"


def main() -> int:
    """0 when all was measured; 1 when something lacks, with what to install on stderr."""
    given = _arguments()
    bench = Bench(FOLDER, given.rounds, given.seconds)
    if given.against:
        print("\n".join(against.compare(given.against, bench)))
        return 0
    if not given.render:
        lacking = [text for text in (wrk.missing(), slow_sync.missing()) if text]
        if lacking:
            print("\n".join(lacking), file=sys.stderr)
            return 1
        rows = ingest.rows(given.seconds) | beside.rows()
        rows[GROWTH] = partial(growth.growth, sizes=tuple(given.sizes))
        unknown = set(given.only or ()) - rows.keys()
        if unknown:
            print(f"no such row: {', '.join(sorted(unknown))}; {', '.join(rows)}", file=sys.stderr)
            return 1
        for name in given.only or [name for name in rows if name != GROWTH]:
            _measure(name, rows[name], bench)
    _, runs = results.read()
    report.write()
    for file in plots.write(runs):
        print(file)
    return 0


def _measure(name: str, row: Row, bench: Bench) -> None:
    started_sec, on = time.perf_counter(), results.taken()
    runs: list[results.Run] = []
    try:
        for run in row(bench):
            runs.append(run)
            shown = ", ".join(f"{key} {report.number(value)}" for key, value in run.values.items())
            print(f"{name} {run.round} {run.side}: {shown}", flush=True)
    finally:
        # Of what ended early, too: the largest size may be too large.
        if runs:
            results.replace(name, runs, on)
    print(f"{name}: {time.perf_counter() - started_sec:.0f} s\n", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="ROW", help="these rows; all but growth")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side (default 5)")
    parser.add_argument("--seconds", type=int, default=4, help="of a run at full load (default 4)")
    parser.add_argument("--sizes", type=int, nargs="+", default=growth.SIZES, help="of growth")
    parser.add_argument("--against", metavar="COMMIT", help="only compare with another commit")
    parser.add_argument("--render", action="store_true", help="measure nothing, write the page")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
