"""Bring the database to the version that this program needs, by Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config

from flask10x.settings import CHECKOUT, Settings
from flask10x.sqlite import database_path

_INSIDE = Path(__file__).resolve().parent / "migrations"


def migrations() -> Path:
    """The folder with the migrations: inside the installed package, else in the checkout."""
    return _INSIDE if _INSIDE.is_dir() else CHECKOUT / "migrations"


def upgrade(settings: Settings) -> None:
    """Make the database if there is none, and run every migration that it has not seen.

    Raises what Alembic and SQLAlchemy raise; a migration that fails leaves nothing behind.
    """
    database_path(settings).parent.mkdir(parents=True, exist_ok=True)
    config = Config()
    config.set_main_option("script_location", str(migrations()).replace("%", "%%"))
    config.attributes["settings"] = settings
    command.upgrade(config, "head")
