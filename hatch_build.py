"""Build what follows from the sources: the compiled catalogue and the schemas for editors.

hatchling calls this for a wheel, for the source archive and for a checkout; `make messages` runs it
as a program. A wheel also needs the chart library, and gets the units and the file of settings for
`flask10x service install`.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

import polib
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VENDOR = Path("flask10x") / "web" / "static" / "vendor"
# Not in git: `make static` fetches them.
FILES = ("uPlot.iife.min.js", "uPlot.min.css", "uPlot.LICENSE.txt")


def build(root: Path) -> None:
    """Write the files that are not in git into the package below this folder."""
    for catalogue in (root / "flask10x" / "locale").rglob("*.po"):
        catalogue.with_suffix(".mo").write_bytes(polib.pofile(str(catalogue)).to_binary())
    # A build in an environment of its own has no package but this folder.
    sys.path.insert(0, str(root))
    schema = importlib.import_module("flask10x.config.schema")
    schema_path = importlib.import_module("flask10x.config.toml").schema_path
    for name in schema.NAMES:
        path = schema_path(name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(schema.text_of(name), encoding="utf-8")


class CustomBuildHook(BuildHookInterface[Any]):
    """Whoever installs a wheel has no Makefile that could fetch the library afterwards."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, or abort if the chart library is missing; a checkout goes without."""
        missing = [name for name in FILES if not (Path(self.root) / VENDOR / name).is_file()]
        if missing and version != "editable":
            self.app.abort(
                f"Without the chart library no {self.target_name} is built: {VENDOR} has no"
                f" {', '.join(missing)}. Fetch it first, with a network: make static"
            )
        build(Path(self.root))
        if self.target_name == "wheel" and version != "editable":
            units = sorted((Path(self.root) / "deploy").glob("flask10x*"))
            build_data["force_include"] |= {str(p): f"flask10x/deploy/{p.name}" for p in units}


if __name__ == "__main__":
    build(Path(__file__).parent)
