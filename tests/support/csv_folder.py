"""Readings of `/data`, their lines typed by hand, and imports put there by hand."""

from pathlib import Path

from flask10x.config.settings import Settings
from tests.support.rows import execute

NAME = "PicodataX.csv"
HEADER = b"current_time,Pressure,Tempereture\r\n"
FIRST_MS = 1_756_000_000_000  # 2025-08-24 10:46:40 in Tokyo
STORE = "INSERT INTO readings (endpoint, received_at, pressure, temperature) VALUES "


def line(number: int) -> bytes:
    """The line of the reading that `store` makes of this number, 0 to 19."""
    return f"2025-08-24 10:46:{40 + number},{990 + number}.5,25.0\r\n".encode()


def lines(*numbers: int) -> bytes:
    """Several of them."""
    return b"".join(line(number) for number in numbers)


def store(settings: Settings, *numbers: int) -> None:
    """Store readings in this order, some milliseconds into their second, as the service does."""
    values = (f"('data', {FIRST_MS + 1000 * n + 123}, {990 + n}.5, 25.0)" for n in numbers)
    execute(database_file(settings), STORE + ", ".join(values))


def imported(settings: Settings, first: int, last: int, after: int = 0, file: str = NAME) -> None:
    """Say that these ids came from a file."""
    execute(
        database_file(settings),
        "INSERT INTO imports (endpoint, file, first_id, last_id, after_id, imported_at)"
        f" VALUES ('data', '/old/{file}', {first}, {last}, {after}, 0)",
    )


def csv_file(settings: Settings) -> Path:
    """The file of `/data`."""
    return settings.csv_dir / NAME


def put(settings: Settings, content: bytes) -> Path:
    """Write the file as somebody else would: in place if it is there."""
    settings.csv_dir.mkdir(exist_ok=True)
    csv_file(settings).write_bytes(content)
    return csv_file(settings)


def database_file(settings: Settings) -> Path:
    """The database."""
    return settings.data_dir / "flask10x.sqlite3"
