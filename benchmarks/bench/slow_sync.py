"""A disk that syncs more slowly: a library that is loaded into the service."""

import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("slowsync.c")


def missing() -> str:
    """What has to be installed first; empty when nothing has."""
    if compiler() is None:
        return "a C compiler is missing: sudo apt install gcc libc6-dev"
    return ""


def compiler() -> str | None:
    """The C compiler of this machine."""
    return shutil.which("cc") or shutil.which("gcc")


def library(folder: Path) -> Path:
    """The compiled library, in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "slowsync.so"
    options = ["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(target)]
    subprocess.run([str(compiler()), *options, str(SOURCE)], check=True)
    return target


def slower_by(ms: int, shim: Path) -> dict[str, str]:
    """What a service has to be started with to meet such a disk."""
    return {"LD_PRELOAD": str(shim), "SLOWSYNC_MS": str(ms)}
