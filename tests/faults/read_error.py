"""Reads that fail with EIO, by the shim `readerror.c`; SQLite takes them for damage."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("readerror.c")


@dataclass(frozen=True, slots=True)
class ReadError:
    """The reads of one file; all is well until a test steers it."""

    shim: Path
    file: Path
    steer: Path

    def environment(self) -> dict[str, str]:
        """What the service has to be started with."""
        return {
            "LD_PRELOAD": str(self.shim),
            "READERROR_FILE": str(self.file),
            "READERROR_STEER": str(self.steer),
        }

    def strike(self) -> None:
        """Let the next read fail, of whichever process."""
        self._marker("once").touch()

    def rest(self) -> None:
        """Let no further read fail."""
        self._marker("once").unlink(missing_ok=True)

    @property
    def has_struck(self) -> bool:
        """Whether a read has failed since `strike`."""
        return not self._marker("once").exists()

    @contextmanager
    def lasting(self) -> Iterator[None]:
        """Every read fails."""
        marker = self._marker("all")
        marker.touch()
        yield
        marker.unlink()

    def _marker(self, name: str) -> Path:
        return self.steer.with_name(f"{self.steer.name}.{name}")


def compiled(source: Path, folder: Path) -> Path:
    """The shim as a library; skips the test where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler: this fault is not provoked here")
    library = folder / source.with_suffix(".so").name
    options = ["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library)]
    subprocess.run([compiler, *options, str(source)], check=True)
    return library
