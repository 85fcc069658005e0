"""Do the migrations make the tables that the code expects? Asked of each engine, by Make."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support import postgres
from tests.support.postgres import own_server


def main() -> None:
    """End with a status of 1 when they do not; without a PostgreSQL only SQLite is looked at."""
    differ = not _agree("SQLite", {})
    if reason := postgres.obstacle():
        sys.stdout.write(f"PostgreSQL is left out: {reason}\n")
    else:
        with own_server() as server:
            differ |= not _agree("PostgreSQL", {"FLASK10X_DATABASE_URL": server.url()})
    sys.exit(differ)


def _agree(engine: str, given: dict[str, str]) -> bool:
    sys.stdout.write(f"{engine}: ")
    sys.stdout.flush()
    with tempfile.TemporaryDirectory() as folder:
        own = {"FLASK10X_DATA_DIR": f"{folder}/data", "XDG_STATE_HOME": f"{folder}/state"}
        return all(
            subprocess.run(
                [Path(sys.executable).with_name(command), *words],
                env=os.environ | own | given,
                check=False,
            ).returncode
            == 0
            for command, *words in (("flask10x", "migrate"), ("alembic", "check"))
        )


if __name__ == "__main__":
    main()
