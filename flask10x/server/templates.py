"""The templates of the pages, compiled once: for a process and its forks, and for the next start.

To compile them all takes two fifths of the processor time of a start, and readings wait for a
start. So what was compiled is kept beside the modules that Python itself compiles, where that
folder may be written: `python -m flask10x.server.templates` does it when the service is installed.
"""

import hashlib
import marshal
import os
import sys
from contextlib import suppress
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path

import jinja2
from jinja2 import BytecodeCache, Environment
from jinja2.bccache import Bucket

import flask10x
from flask10x.config import settings as settings_module
from flask10x.config.secrets import Keyring
from flask10x.config.settings import Settings
from flask10x.recording.shared_queue import WorkerSlot
from flask10x.system.gauges import Gauges
from flask10x.web.app import create_app

# What a file was made with: the number by which Python knows whether it can run what was compiled,
# elsewhere too, as an image is built. Jinja compares the template itself.
TAG = f"{flask10x.__version__} {jinja2.__version__} {MAGIC_NUMBER.hex()}"
DIGEST_BYTES = hashlib.sha256().digest_size


# A compiler that ran in each worker would write to shared pages of memory: 2 MB a worker
# (docs/decisions/0035).


class CompiledTemplates(BytecodeCache):
    """Jinja's cache of bytecode, in memory. A template that has changed is compiled again."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}
        self.is_new = False
        """Whether something was compiled, which no file has."""

    def load_bytecode(self, bucket: Bucket) -> None:
        """For Jinja: load the compiled template if there is one."""
        if code := self._code.get(bucket.key):
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """For Jinja: keep the template that it has compiled."""
        self._code[bucket.key] = bucket.bytecode_to_string()
        self.is_new = True

    def read(self, path: Path) -> None:
        """Take what a file has, if it is there, whole, and of these versions."""
        with suppress(OSError, ValueError, EOFError, TypeError):
            content = path.read_bytes()
            digest, rest = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
            # Else a bit that the card has changed would be run as code.
            if hashlib.sha256(rest).digest() == digest:
                tag, code = marshal.loads(rest)  # noqa: S302
                self._code |= code if tag == TAG else {}

    def write(self, path: Path) -> None:
        """Keep it all in a file; raises OSError where that can't be written."""
        # In one order, so that two builds are the same bytes.
        rest = marshal.dumps((TAG, dict(sorted(self._code.items()))))
        beside = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(exist_ok=True)
            beside.write_bytes(hashlib.sha256(rest).digest() + rest)
            beside.replace(path)
        except OSError:
            with suppress(OSError):
                beside.unlink()
            raise


COMPILED = CompiledTemplates()


def compile_all(environment: Environment) -> None:
    """Compile every template."""
    for name in environment.list_templates(extensions=("html", "txt")):
        environment.get_template(name)


def kept() -> Path:
    """The file with what was compiled."""
    return Path(cache_from_source(__file__)).with_suffix(".jinja")


def compile_templates(settings: Settings, gauges: Gauges, keyring: Keyring) -> None:
    """Compile the pages once for all workers; without a store, so that nothing is opened."""
    slot = WorkerSlot.alone(settings, gauges)
    app = create_app(settings, slot, keyring, missing="not opened here")
    app.jinja_env.bytecode_cache = COMPILED
    COMPILED.read(kept())
    compile_all(app.jinja_env)
    if COMPILED.is_new and not sys.dont_write_bytecode:
        # The service may not write where its program is.
        with suppress(OSError):
            COMPILED.write(kept())


def main() -> None:
    """Compile the pages for the next start, whatever the settings are."""
    # A folder that has no settings.
    settings = settings_module.load({f"{settings_module.PREFIX}DATA_DIR": os.devnull})
    compile_templates(settings, Gauges(settings.stations.by_endpoint), Keyring(None, None))


if __name__ == "__main__":
    main()
