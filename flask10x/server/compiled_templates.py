"""The templates as Jinja has compiled them, once for this process and what it forks.

A compiler that runs in each worker changes pages of memory that were shared: 2 MB a worker
(docs/decisions/0035).
"""

from jinja2 import BytecodeCache, Environment
from jinja2.bccache import Bucket


class CompiledTemplates(BytecodeCache):
    """Jinja's cache of bytecode, in memory. A template that has changed is compiled again."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """For Jinja: what was compiled of this template before."""
        if code := self._code.get(bucket.key):
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """For Jinja: what it has compiled just now."""
        self._code[bucket.key] = bucket.bytecode_to_string()


COMPILED = CompiledTemplates()


def compile_all(environment: Environment) -> None:
    """Compile every template, whether it will be shown or not."""
    for name in environment.list_templates(extensions=("html", "txt")):
        environment.get_template(name)
