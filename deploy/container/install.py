"""Lay out the program for an image, while it is built: `install.py amd64` or `install.py arm64`.

It runs in the stage `built` of the Containerfile, with the checkout in /source, and fills /image.
The packages of the locks come from build/wheels where that folder is there (`make image` fills it),
else from the network. They are those of the machine that the image is for; nothing of it is
started, so that needs no emulation.
"""

import importlib.util
import py_compile
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "deploy" / "debian"))
import build  # noqa: E402

IMAGE, DATA = Path("/image"), Path("/data/flask10x")
# Of the image, as the Containerfile has it in PYTHONPYCACHEPREFIX.
HOME = Path("/opt/flask10x")
COMPILED = HOME / "compiled"
# Debian's package python3-pip-whl, for a base without pip.
PIP_WHEELS = Path("/usr/share/python-wheels")
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
# Up to glibc 2.28, which is older than that of any base with Python 3.11.
MANYLINUX = [f"manylinux_2_{minor}" for minor in range(28, 4, -1)] + ["manylinux2014"]
USER = "flask10x:x:8888:8888::/var/lib/flask10x:/bin/sh\n"
GROUP = "flask10x:x:8888:\n"
# Answers whether the service does, for those who watch a container. Nothing else is loaded for it.
ANSWERS = """#!/opt/flask10x/.venv/bin/python3 -ISE
import os
import socket
import sys
from http.client import HTTPConnection

bind = os.environ.get("FLASK10X_BIND", "")
host, _, port = bind.rpartition(":")
host = host.strip("[]")
is_unix = host == "unix"
if host in ("", "0.0.0.0", "::") or is_unix:
    host = "127.0.0.1"
number = 8888 if is_unix else int(os.environ.get("FLASK10X_PORT") or port or 8888)
connection = HTTPConnection(host, number, timeout=8)
try:
    if is_unix:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(8)
        connection.sock.connect(port)
    connection.request("GET", "/healthz")
    sys.exit(connection.getresponse().status != 200)
except OSError as error:
    sys.exit(str(error))
"""
# What a service never loads, of the Python of the base and of the libraries.
NOT_COMPILED = {
    *("test", "tests", "idlelib", "lib2to3", "turtledemo", "ensurepip", "pydoc_data", "_pyrepl"),
    *("tkinter", "curses", "unittest", "pip", "asyncio", "wsgiref", "xmlrpc", "dbm", "venv"),
    *("mssql", "mysql", "oracle"),
}


def pip() -> list[str]:
    """The command pip: that of the base, or one of a wheel."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    for wheel in PIP_WHEELS.glob("pip-*.whl"):
        return [sys.executable, f"{wheel}/pip"]
    raise SystemExit("the base has no pip: python3-pip-whl is the package of Debian")


def own_wheel() -> Path:
    """The wheel of this version: that of `make image`, else that of `make wheel`."""
    for folder in ("build/wheels", "dist"):
        for wheel in (SOURCE / folder).glob(f"flask10x-{build.version()}-*.whl"):
            return wheel
    raise SystemExit(f"dist/ has no wheel of version {build.version()}: make wheel")


def platform_of(architecture: str) -> list[str]:
    """The words by which pip takes the wheels of that machine, and nothing that has to be built."""
    platforms = [f"--platform={tag}_{MACHINES[architecture]}" for tag in MANYLINUX]
    return ["--only-binary=:all:", *platforms]


def install(architecture: str, libraries: Path, folder: Path) -> None:
    """Put the locked packages and the program into the folder of libraries."""
    lock = folder / "running.lock"
    lock.write_text(
        build.running_lock((SOURCE / build.LOCK).read_text(encoding="utf-8")), encoding="utf-8"
    )
    wheels = SOURCE / "build" / "wheels"
    offline = ["--no-index", f"--find-links={wheels}"] if wheels.is_dir() else []
    quiet = [
        "--quiet",
        "--no-cache-dir",
        "--no-compile",
        "--disable-pip-version-check",
        "--root-user-action=ignore",
    ]
    words = [
        *pip(),
        "install",
        *quiet,
        "--no-deps",
        *platform_of(architecture),
        f"--target={libraries}",
    ]
    locks = [lock, *(SOURCE / f"requirements-{extra}.lock" for extra in build.EXTRAS)]
    asked = [f"--requirement={each}" for each in locks]
    build.run(*words, *offline, "--require-hashes", *asked)
    # Their commands, which are of the machine that builds.
    shutil.rmtree(libraries / "bin", ignore_errors=True)
    build.run(*words, "--no-index", own_wheel())
    shutil.rmtree(libraries / "bin")
    build.thin(libraries)


def lay_out_environment(home: Path) -> Path:
    """The virtual environment around the Python of the base; returns its folder of libraries."""
    binaries = home / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python3").symlink_to(Path(sys.executable).resolve())
    (binaries / "python").symlink_to("python3")
    config = f"home = {Path(sys.executable).parent}\ninclude-system-site-packages = false\n"
    (home / "pyvenv.cfg").write_text(config, encoding="utf-8")
    for name, text in (("flask10x", build.ENTRY), ("flask10x-answers", ANSWERS)):
        (binaries / name).write_text(text, encoding="utf-8")
        (binaries / name).chmod(0o755)
    return home / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"


def add_user(etc: Path) -> None:
    """The user beside those of the base."""
    etc.mkdir()
    for name, line in (("passwd", USER), ("group", GROUP)):
        there = Path("/etc", name)
        text = there.read_text(encoding="utf-8") if there.exists() else ""
        (etc / name).write_text(text + line, encoding="utf-8")


def modules(libraries: Path) -> Iterator[tuple[Path, Path]]:
    """Each module of the libraries and of the base's Python, and where the image has it."""
    standard = Path(sysconfig.get_path("stdlib"))
    for folder in (libraries, standard):
        for path in folder.rglob("*.py"):
            within = path.relative_to(folder).parts
            if not NOT_COMPILED.intersection(within) and within[0] != "site-packages":
                yield path, Path("/", path.relative_to(IMAGE)) if folder == libraries else path


def compile_all(libraries: Path) -> None:
    """Compile what the service may load: a Pi that compiled it at each start would be slow.

    Without looking at the times of the sources: a builder of images may set them.
    """
    compiled = IMAGE / COMPILED.relative_to("/")
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    for path, there in sorted(modules(libraries)):
        cached = Path(importlib.util.cache_from_source(there.name))
        target = compiled / there.parent.relative_to("/") / cached.name
        py_compile.compile(str(path), str(target), str(there), quiet=1, invalidation_mode=unchecked)


def compile_pages() -> None:
    """Compile the templates of the pages, at the place where the image has them.

    What only the image's machine can load is not needed for that.
    """
    HOME.parent.mkdir(exist_ok=True)
    HOME.symlink_to(IMAGE / HOME.relative_to("/"))
    # In one order whatever the hashes of this run are, for the same bytes each time.
    fixed = {"PYTHONPYCACHEPREFIX": str(COMPILED), "PYTHONHASHSEED": "0"}
    python = HOME / ".venv/bin/python3"
    build.run(python, "-P", "-m", "flask10x.server.templates", **fixed)
    HOME.unlink()
    if not list((IMAGE / COMPILED.relative_to("/")).rglob("*.jinja")):
        raise SystemExit("the pages were not compiled")


def main() -> None:
    """Fill /image."""
    DATA.mkdir(parents=True, mode=0o750)
    libraries = lay_out_environment(IMAGE / HOME.relative_to("/") / ".venv")
    with tempfile.TemporaryDirectory() as folder:
        install(sys.argv[1], libraries, Path(folder))
    add_user(IMAGE / "etc")
    compile_all(libraries)
    compile_pages()


if __name__ == "__main__":
    main()
