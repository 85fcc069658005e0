"""Build the Debian packages: `make deb`, for amd64 and arm64, the same bytes each time.

What is locked comes as wheels of the package's platform, so nothing is compiled and nothing is
fetched while it installs. The sets for each Python lie in one folder, as Debian has its own:
modules of C carry the Python in their names, everything else is the same in all of them.
"""

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# The locks whose packages all belong into it; the first also has what only builds.
LOCK, EXTRAS = "requirements.lock", ("mqtt", "alerts", "postgres")
# As Debian calls a machine -> as wheels do. glibc 2.28 is older than that of Debian 12.
PLATFORMS = {"amd64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
# Debian 12, Ubuntu 24.04, Debian 13.
PYTHONS = ("3.11", "3.12", "3.13")
PEOPLE, MAINTAINER = "the Flask10X contributors", "flask10x@packages.invalid"
PROGRAM = Path("opt/flask10x/.venv/bin/flask10x")
ENTRY = """#!/opt/flask10x/.venv/bin/python3
import sys

from flask10x.commands.main import main

sys.exit(main())
"""
# What is of no use where nothing is compiled and no test runs.
NOT_NEEDED = ("*.c", "*.cpp", "*.h", "*.hpp", "*.pxd", "*.pyx", "*.pyi", "*.po", "*.pot")
TESTED = ("alembic", "gevent", "greenlet", "sqlalchemy")
NOTES_OF_INSTALLERS = ("RECORD", "REQUESTED", "INSTALLER", "direct_url.json", "uv_cache.json")
# What builds in a checkout, and has nothing to build elsewhere.
BUILDING = ("image.py", "install.py", "release.py")
SCRIPTS = ("preinst", "postinst", "prerm", "postrm")


@dataclass(frozen=True)
class Layout:
    """The folder that becomes the package."""

    root: Path

    @property
    def libraries(self) -> Path:
        """Where Python finds all modules."""
        return self.root / "opt/flask10x/.venv/lib/python3/site-packages"

    def files(self) -> Iterator[Path]:
        """Each file of the package, in a fixed order."""
        for path in sorted(self.root.rglob("*")):
            if path.is_file() and not path.is_symlink() and "DEBIAN" not in path.parts:
                yield path


def run(*words: str | Path, **environment: str) -> str:
    """What a command prints; it ends the build when it fails."""
    done = subprocess.run(  # noqa: S603
        words, check=True, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE
    )
    return done.stdout.decode().strip()


def epoch() -> str:
    """The time of all files: that of the last commit, or what the environment says."""
    return os.environ.get("SOURCE_DATE_EPOCH") or run("git", "log", "-1", "--format=%ct")


def version() -> str:
    """The version of the program."""
    text = (ROOT / "flask10x/__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    if match is None:
        raise SystemExit("flask10x/__init__.py has no version")
    return match[1]


def running_lock(text: str) -> str:
    """The lock without what only builds the program."""
    head, *blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
    needed_by: dict[str, set[str]] = {}
    for block in blocks:
        name = re.split(r"[=\[ ;]", block, maxsplit=1)[0]
        lines = re.findall(r"^    #(?: via)? +(\S.*)$", block, re.MULTILINE)
        needed_by[name] = {line.strip() for line in lines} - {"via"}
    needed = {name for name, by in needed_by.items() if "flask10x (pyproject.toml)" in by}
    while more := {n for n, by in needed_by.items() if by & needed and n not in needed}:
        needed |= more
    return head + "".join(b for b in blocks if re.split(r"[=\[ ;]", b, maxsplit=1)[0] in needed)


def install_libraries(layout: Layout, platform: str, wheel: Path, folder: Path) -> None:
    """Put the locked packages of each Python, and the program, into one folder."""
    lock = folder / "running.lock"
    lock.write_text(running_lock((ROOT / LOCK).read_text(encoding="utf-8")), encoding="utf-8")
    locks = [lock, *(ROOT / f"requirements-{extra}.lock" for extra in EXTRAS)]
    uv: list[str | Path] = [
        Path(sys.executable).with_name("uv"),
        "pip",
        "install",
        "--quiet",
        "--no-deps",
    ]
    uv += ["--link-mode", "copy", "--python-platform", platform]
    layout.libraries.mkdir(parents=True)
    for python in PYTHONS:
        target = folder / python
        of_it: list[str | Path] = [*uv, "--python-version", python, "--target", target]
        asked: list[str | Path] = [word for each in locks for word in ("--requirement", each)]
        run(*of_it, "--require-hashes", *asked)
        run(*of_it, wheel)
        shutil.rmtree(target / "bin", ignore_errors=True)
        _merge(target, layout.libraries)
        name = f"python{python}"
        (layout.libraries.parents[1] / name).symlink_to("python3")
    thin(layout.libraries)


def _merge(source: Path, target: Path) -> None:
    """Add what is not there; what differs besides notes has to be of one Python alone."""
    for path in sorted(source.rglob("*")):
        there = target / path.relative_to(source)
        if path.is_dir():
            there.mkdir(exist_ok=True)
        elif not there.exists():
            shutil.copyfile(path, there)
        elif ".dist-info" in str(path) or ".abi3." in path.name:
            continue
        elif path.read_bytes() != there.read_bytes():
            raise SystemExit(f"{path} differs between Pythons, so one folder can't have both")


def thin(libraries: Path) -> None:
    """Remove what is of no use to a service that runs, and notes that differ each time."""
    for folder in [*libraries.glob("*/tests"), *libraries.glob("*/testing")]:
        if folder.parent.name in TESTED:
            shutil.rmtree(folder)
    # For libev by cffi, which is not locked for Linux; a resolver that is not chosen; what Apprise,
    # which alone reads YAML, does not take.
    unneeded = [libraries.glob("gevent/lib*/_corecffi.abi3.so")]
    unneeded += [libraries.glob("gevent/resolver/cares*.so"), libraries.glob("yaml/_yaml*.so")]
    unneeded += [libraries.rglob(pattern) for pattern in NOT_NEEDED]
    unneeded += [libraries.glob(f"*.dist-info/{name}") for name in NOTES_OF_INSTALLERS]
    for path in [path for paths in unneeded for path in paths]:
        path.unlink()
    (libraries / ".lock").unlink(missing_ok=True)


def lay_out_program(layout: Layout) -> None:
    """The environment around the libraries, documents, examples, units and settings."""
    root, home = layout.root, layout.root / "opt/flask10x"
    binaries = (root / PROGRAM).parent
    binaries.mkdir(parents=True)
    (binaries / "python3").symlink_to("/usr/bin/python3")
    (binaries / "python").symlink_to("python3")
    (root / PROGRAM).write_text(ENTRY, encoding="utf-8")
    config = "home = /usr/bin\ninclude-system-site-packages = false\n"
    (binaries.parent / "pyvenv.cfg").write_text(config, encoding="utf-8")
    for folder in ("docs/en", "docs/ja", "docs/pictures", "scripts"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, home / folder, ignore=ignored)
    ignored = shutil.ignore_patterns("debian", "__pycache__", *BUILDING)
    shutil.copytree(ROOT / "deploy", home / "deploy", ignore=ignored)
    shutil.copyfile(ROOT / "CHANGELOG.md", home / "CHANGELOG.md")
    _copy(units(), root / "usr/lib/systemd/system")
    _copy([ROOT / "deploy/flask10x.env"], root / "etc/flask10x")
    shutil.copytree(HERE / "sysusers.d", root / "usr/lib/sysusers.d")
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/flask10x").symlink_to(f"/{PROGRAM}")


def units() -> list[Path]:
    """The units of systemd."""
    kinds = (".service", ".socket", ".timer")
    return sorted(p for p in (ROOT / "deploy").glob("flask10x*") if p.suffix in kinds)


def _copy(files: Iterable[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copyfile(file, folder / file.name)


def lay_out_manuals(layout: Layout) -> None:
    """Manual pages, completion, and what a package of Debian says of itself."""
    share = layout.root / "usr/share"
    own = [sys.executable, "-m", "flask10x", "shell"]
    run(*own, "man", share / "man")
    for page in sorted((share / "man").rglob("*.1")):
        _compress(page.read_bytes(), page.with_name(f"{page.name}.gz"))
        page.unlink()
    completion = share / "bash-completion/completions/flask10x"
    completion.parent.mkdir(parents=True)
    completion.write_text(run(*own, "complete", "bash") + "\n", encoding="utf-8")
    documents = share / "doc/flask10x"
    documents.mkdir(parents=True)
    _compress(changelog().encode(), documents / "changelog.gz")
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8").partition("\n\n")[2]
    licence = licence.partition("\n\n")[2].rstrip()
    folded = "\n".join(f" {line or '.'}" for line in licence.splitlines())
    text = (HERE / "copyright").read_text(encoding="utf-8").replace("@LICENSE@", folded)
    (documents / "copyright").write_text(text, encoding="utf-8")
    overrides = share / "lintian/overrides"
    overrides.mkdir(parents=True)
    shutil.copyfile(HERE / "lintian-overrides", overrides / "flask10x")


def changelog() -> str:
    """What Debian's tools read; what has changed is in the project's own."""
    time = formatdate(int(epoch()))
    head = f"flask10x ({version()}) stable; urgency=medium"
    return f"{head}\n\n  * See /opt/flask10x/CHANGELOG.md.\n\n -- {PEOPLE} <{MAINTAINER}>  {time}\n"


def _compress(content: bytes, path: Path) -> None:
    path.write_bytes(gzip.compress(content, 9, mtime=0))


def lay_out_control(layout: Layout, architecture: str) -> None:
    """The fields and scripts for dpkg."""
    control = layout.root / "DEBIAN"
    control.mkdir()
    after = f"3.{int(PYTHONS[-1].partition('.')[2]) + 1}"
    size = sum(path.stat().st_size for path in layout.files()) // 1024
    values = {
        "VERSION": version(),
        "ARCHITECTURE": architecture,
        "MAINTAINER": MAINTAINER,
        "SIZE": str(size),
        "FIRST": PYTHONS[0],
        "AFTER": after,
        "TIMERS": " ".join(path.name for path in units() if path.suffix == ".timer"),
    }
    for name in ("control", "templates", "triggers", *SCRIPTS):
        text = (HERE / name).read_text(encoding="utf-8")
        for word, value in values.items():
            text = text.replace(f"@{word}@", value)
        (control / name).write_text(text, encoding="utf-8")
    (control / "conffiles").write_text("/etc/flask10x/flask10x.env\n", encoding="utf-8")
    sums = [
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}"
        f"  {path.relative_to(layout.root)}\n"
        for path in layout.files()
        if "etc" not in path.relative_to(layout.root).parts[:1]
    ]
    (control / "md5sums").write_text("".join(sums), encoding="utf-8")


def settle(layout: Layout, seconds: int) -> None:
    """Give each file the same rights and time, independent of who builds it and when."""
    programs = {layout.root / PROGRAM, *(layout.root / "DEBIAN" / name for name in SCRIPTS)}
    programs.add(layout.root / "opt/flask10x/scripts/export_csv.py")
    for path in [layout.root, *layout.root.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path in programs else 0o644)
        os.utime(path, (seconds, seconds), follow_symlinks=False)


def build(architecture: str, wheel: Path, target: Path) -> Path:
    """Build one package; returns its file."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        layout = Layout(folder / "root")
        install_libraries(layout, PLATFORMS[architecture], wheel, folder)
        lay_out_program(layout)
        lay_out_manuals(layout)
        lay_out_control(layout, architecture)
        settle(layout, int(epoch()))
        file = target / f"flask10x_{version()}_{architecture}.deb"
        words = ["dpkg-deb", "--root-owner-group", "-Zxz", "--threads-max=1", "--build"]
        run(*words, layout.root, file, SOURCE_DATE_EPOCH=epoch())
    return file


def main() -> None:
    """Build the packages of the architectures that are named, or of all."""
    parser = ArgumentParser(description="Build the Debian packages.")
    parser.add_argument("architectures", nargs="*", help=f"of {', '.join(PLATFORMS)}; else all")
    parser.add_argument("--into", type=Path, default=ROOT / "dist", help="the folder for them")
    chosen = parser.parse_args()
    target = chosen.into.resolve()
    target.mkdir(exist_ok=True)
    asked = chosen.architectures or list(PLATFORMS)
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder]
        run(*words, SOURCE_DATE_EPOCH=epoch())
        (wheel,) = Path(folder).glob("*.whl")
        # Most of the time is one core's, which packs.
        with ThreadPoolExecutor() as pool:
            for file in pool.map(partial(build, wheel=wheel, target=target), asked):
                sys.stdout.write(f"{file}\n")


if __name__ == "__main__":
    main()
