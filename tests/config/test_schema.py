"""The schemas of the two files, as they are shipped, and what names them.

That they say of each example the same as the program, the tests of the files show
(`tests/support/schemas.py`).
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from flask10x.config import schema, station_text
from flask10x.config.alerts import file as alert_file
from flask10x.config.toml import schema_path
from flask10x.readings.stations import BUILT_IN
from tests.support import schemas

NAMES = ("stations", "alerts")
FILES = {"stations": station_text.rendered(BUILT_IN.all), "alerts": alert_file.example_in("ja")}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_shipped_is_what_the_readers_take(name: str) -> None:
    shipped = schema_path(name).read_text(encoding="utf-8")
    assert shipped == schema.text_of(name), "run: python -m tests.support.schemas"


@pytest.mark.parametrize("name", NAMES)
def test_a_new_file_names_its_schema_and_is_right(name: str) -> None:
    first, _, _ = FILES[name].partition("\n")
    assert first == f"#:schema file://{schema_path(name)}"
    assert schema_path(name).is_file()
    schemas.check_right(name, FILES[name])


@pytest.mark.tools
@pytest.mark.skipif(not shutil.which("taplo"), reason="taplo is not installed")
@pytest.mark.parametrize("name", NAMES)
def test_taplo_goes_by_it(tmp_path: Path, name: str) -> None:
    def lint(text: str) -> int:
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
        command = ["taplo", "lint", f"{name}.toml"]
        return subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode

    assert lint(FILES[name]) == 0
    assert lint(f"{FILES[name]}\n[unknown]\nx = 1\n") != 0
