"""What hatchling asks before it builds the wheel or the source: is the chart library there?

And it puts the units and the file of settings into the wheel, for `flask10x service install`.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VENDOR = Path("flask10x") / "web" / "static" / "vendor"
# Not in git: `make static` fetches them.
FILES = ("uPlot.iife.min.js", "uPlot.min.css", "uPlot.LICENSE.txt")


class CustomBuildHook(BuildHookInterface[Any]):
    """Whoever installs a wheel has no Makefile that could fetch the library afterwards."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """End the build, with a sentence, when the library is missing; a checkout goes without."""
        missing = [name for name in FILES if not (Path(self.root) / VENDOR / name).is_file()]
        if missing and version != "editable":
            self.app.abort(
                f"Without the chart library no {self.target_name} is built: {VENDOR} has no"
                f" {', '.join(missing)}. Fetch it first, with a network: make static"
            )
        if self.target_name == "wheel" and version != "editable":
            units = sorted((Path(self.root) / "deploy").glob("flask10x*"))
            build_data["force_include"] |= {str(p): f"flask10x/deploy/{p.name}" for p in units}
