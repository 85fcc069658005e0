"""The schemas of the files, as they are shipped, and what names them.

That they say of each example the same as the program, the tests of the files show
(`tests/support/schemas.py`).
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from flask10x.config import schema, station_text
from flask10x.config.alerts import file as alert_file
from flask10x.config.toml import schema_line, schema_path
from flask10x.readings.stations import BUILT_IN
from tests.support import schemas

DOCS = Path(__file__).resolve().parents[2] / "docs"
FILES = {
    "stations": station_text.rendered(BUILT_IN.all),
    "alerts": alert_file.example_in("ja"),
    "settings": f'{schema_line("settings")}house_name = "山の家"\nretention_days = 365\n',
    "flask10x": f"{schema_line('flask10x')}workers = 1\nPORT = 9000\n",
}


def test_what_is_shipped_is_what_the_readers_take() -> None:
    outdated = [
        name
        for name in schema.NAMES
        if schema_path(name).read_text(encoding="utf-8") != schema.text_of(name)
    ]
    assert outdated == [], "run: python hatch_build.py"


@pytest.mark.parametrize("name", schema.NAMES)
def test_a_new_file_names_its_schema_and_is_right(name: str) -> None:
    first, _, _ = FILES[name].partition("\n")
    assert first == f"#:schema file://{schema_path(name)}"
    assert schema_path(name).is_file()
    schemas.check_right(name, FILES[name])


def test_each_example_of_the_documents_is_right() -> None:
    seen = Counter[str]()
    for page in DOCS.rglob("*.md"):
        for text in re.findall(
            r"^```toml\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S
        ):
            names = {*tomllib.loads(text)}
            # An example for Telegraf.
            if names == {"outputs"}:
                continue
            in_alerts = names & {"rules", "channels"}
            name = "stations" if names == {"stations"} else "alerts" if in_alerts else "flask10x"
            schemas.check_right(name, text)
            seen[name] += 1
    assert all(seen[name] >= 2 for name in ("stations", "alerts", "flask10x"))


TAPLO = shutil.which("taplo", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.tools
@pytest.mark.skipif(TAPLO is None, reason="taplo is not installed")
@pytest.mark.parametrize("name", schema.NAMES)
def test_taplo_goes_by_it(tmp_path: Path, name: str) -> None:
    def lint(text: str) -> int:
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
        command = [str(TAPLO), "lint", f"{name}.toml"]
        return subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode

    assert lint(FILES[name]) == 0
    assert lint(f"{FILES[name]}\n[unknown]\nx = 1\n") != 0
