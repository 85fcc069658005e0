"""Power cuts: what a folder holds afterwards, by the shim `powercut.c`."""

import ctypes
import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

SECTOR_BYTES = 512
KEY_BYTES = 64


@dataclass(frozen=True, slots=True)
class Power:
    """The power of one folder; `switch_on` before the service starts, `cut` when it is dead."""

    shim: Path
    folder: Path
    shadow: Path

    def environment(self) -> dict[str, str]:
        """What the service has to be started with."""
        return {
            "LD_PRELOAD": str(self.shim),
            "POWERCUT_FOLDER": str(self.folder),
            "POWERCUT_SHADOW": str(self.shadow),
        }

    def switch_on(self) -> None:
        """What is in the folder now is on the disk."""
        shutil.rmtree(self.shadow, ignore_errors=True)
        (self.shadow / "files").mkdir(parents=True)
        lines = []
        for file in self._files():
            key = self._key(file)
            shutil.copyfile(file, self.shadow / "files" / key)
            lines.append(f"{key} {file.name}\n")
        (self.shadow / "names").write_text("".join(lines))

    def cut(self, torn: random.Random | None = None) -> None:
        """Leave in the folder what was synced; with `torn` also any sector of what was not.

        Without it nothing survives that was not synced; both happen.
        """
        live = {self._key(file): file.read_bytes() for file in self._files()}
        for file in self._files():
            file.unlink()
        for line in (self.shadow / "names").read_text().splitlines():
            key, name = line.split(" ", 1)
            copy = self.shadow / "files" / key
            synced = copy.read_bytes() if copy.exists() else b""
            written = live.get(key, synced)
            content = synced if torn is None else mixed(synced, written, torn)
            (self.folder / name).write_bytes(content)

    def _files(self) -> list[Path]:
        return [file for file in self.folder.iterdir() if file.is_file()]

    def _key(self, file: Path) -> str:
        key = ctypes.create_string_buffer(KEY_BYTES)
        assert ctypes.CDLL(str(self.shim)).powercut_key(os.fsencode(file), key) == 0
        return key.value.decode()


def mixed(synced: bytes, written: bytes, choice: random.Random) -> bytes:
    """Each sector as it was synced or as it was written last, each with a chance of its own."""
    share = choice.random()
    longer = max(len(synced), len(written))
    size = len(written) if choice.random() < share else len(synced)
    content = bytearray(longer)
    for at in range(0, longer, SECTOR_BYTES):
        source = written if choice.random() < share else synced
        sector = source[at : at + SECTOR_BYTES]
        content[at : at + len(sector)] = sector
    return bytes(content[: max(size, min(len(synced), len(written)))])
