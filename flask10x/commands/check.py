"""`flask10x check`: the checks of the database and of the service."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

import click

from flask10x.commands import translated
from flask10x.config import settings
from flask10x.maintenance.check import check
from flask10x.maintenance.check_database import CheckLine, worst


@translated.command()
@translated.option("--full", is_flag=True, help="Compare each index with its table too: slower.")
@translated.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
def command(full: bool, as_json: bool) -> None:
    """Check the database, the free space, the service, the exports and the backups.

    Changes nothing and can be run at any time. Each line begins with ok, WARN (worth a look) or
    FAIL (wrong). Exit status: 1 when any line says FAIL, else 0.
    """
    if as_json:
        # Programs compare the texts.
        translated.speak_english()
    findings = check(settings.load(), full=full)
    click.echo(_json(findings) if as_json else "\n".join(map(str, findings)))
    sys.exit(1 if worst(findings) == "FAIL" else 0)


def _json(findings: Sequence[CheckLine]) -> str:
    values = [asdict(finding) for finding in findings]
    return json.dumps({"status": worst(findings), "findings": values}, ensure_ascii=False)
