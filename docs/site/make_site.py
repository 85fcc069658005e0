"""Builds docs/en and docs/ja into one static site: `make docs`."""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from built import check_links, write_search
from navigation import HERE, LANGUAGES, SiteError, check
from sources import FILES, Sources
from wording import check_wording


def main() -> int:
    """0, or 1 with the faults on stderr; a warning is a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=HERE.parents[1], help="the repository")
    parser.add_argument("--out", type=Path, default=HERE.parents[1] / "build" / "docs")
    options = parser.parse_args()
    root, out = options.root.resolve(), options.out.resolve()
    # Not the whole folder: nobody knows which one was named.
    for old in (*LANGUAGES, FILES):
        shutil.rmtree(out / old, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory() as work:
            check(root / "docs")
            check_wording(root)
            links = build(root, out, Path(work).resolve())
    except SiteError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{out / 'index.html'}: {links} links lead somewhere")
    return 0


def build(root: Path, out: Path, work: Path) -> int:
    """Fill the folder `out`; how many links the site has."""
    Sources(root, work / "docs", out).lay()
    # Side by side, as each takes some seconds.
    running = {language: sphinx(work, out, language) for language in LANGUAGES}
    told = {language: process.communicate()[1] for language, process in running.items()}
    if any(process.returncode for process in running.values()):
        # The copies go; the originals have the same lines.
        raise SiteError("".join(told.values()).replace(f"{work}/", "").strip())
    for language in LANGUAGES:
        write_search(out / language)
        # Sphinx's own, which templates/search.html does without.
        (out / language / "searchindex.js").unlink()
    shutil.copyfile(HERE / "index.html", out / "index.html")
    return check_links(out)


def sphinx(work: Path, out: Path, language: str) -> subprocess.Popen[str]:
    """Sphinx at work on a language; it ends with an error after any warning."""
    # What it says is captured and told as plain text, also where Sphinx would colour it unasked
    # (`CI=true`).
    options = ["-q", "-N", "-W", "--keep-going", "-b", "html", "-c", str(HERE), "-D"]
    options += [f"language={language}", "-d", str(work / "doctrees" / language)]
    folders = [str(work / "docs" / language), str(out / language)]
    command = [sys.executable, "-m", "sphinx", *options, *folders]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


if __name__ == "__main__":
    sys.exit(main())
