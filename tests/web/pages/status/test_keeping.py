"""The status page says what is removed next, and why what is due is not."""

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export.append import export
from flask10x.export.verify import verify
from flask10x.health.checks import Finding
from flask10x.history.view import View
from flask10x.runtime.retention import outlooks
from flask10x.translation import Translation, translation
from flask10x.web.app import create_app
from flask10x.web.pages.status.answers import kept, shown
from tests.conftest import MakeSettings
from tests.support.csv_folder import FIRST_MS, csv_file, store
from tests.support.rows import execute

DAY_MS = 86_400_000

ENGLISH = translation("en")
# Between two sentences.
SPACE = {"en": " ", "ja": ""}


def answers(
    settings: Settings, database: Database, now_ms: int, texts: Translation = ENGLISH
) -> list[Finding]:
    with database.reader.begin() as connection:
        view = View(connection, settings.stations, settings.zone, now_ms)
        stations = outlooks(settings, database, view)
    return kept(stations, settings, texts, now_ms)


def test_nothing_is_said_where_nothing_is_removed(settings: Settings, database: Database) -> None:
    assert answers(settings, database, FIRST_MS) == []


def test_what_goes_next_and_when(make_settings: MakeSettings, database: Database) -> None:
    settings = make_settings(RETENTION_DAYS=30)
    store(settings, 0, 1)
    execute(database.path, f"INSERT INTO removed VALUES ('data', 0, {FIRST_MS - 60_000}, 1234)")
    (answer,) = answers(settings, database, FIRST_MS)
    assert answer.level == "good"
    assert answer.details[0] == (
        "Pico: kept for 30 days. 1,234 readings up to Sun 24 Aug, 10:45 have been removed."
        " The next one to go is from Sun 24 Aug, 10:46, on Tue 23 Sep, 11:00."
    )
    assert answer.details[1].endswith("No readings are old enough to be removed yet.")


@pytest.mark.parametrize("texts", [ENGLISH, translation("ja")])
def test_why_it_does_not_go(
    make_settings: MakeSettings, database: Database, texts: Translation
) -> None:
    settings = make_settings(RETENTION_DAYS=30)
    store(settings, 0, 1)
    late = FIRST_MS + 38 * DAY_MS
    (answer,) = answers(settings, database, late - DAY_MS, texts)
    assert answer.level == "good"
    (answer,) = answers(settings, database, late, texts)
    assert answer.level == "warn"
    answer_late = texts("Some readings are overdue for removal by a week or more.")
    why = texts("No export has ever written their CSV file.")
    assert answer.text == f"{answer_late}{SPACE[texts.language]}{why}"


@pytest.mark.parametrize("texts", [ENGLISH, translation("ja")])
def test_what_no_file_proves_is_named_with_its_commands(
    make_settings: MakeSettings, database: Database, texts: Translation
) -> None:
    settings = make_settings(RETENTION_DAYS=30)
    pico = [settings.stations.by_endpoint["data"]]
    store(settings, 0, 1)
    export(settings, database, pico)
    csv_file(settings).unlink()
    store(settings, 2)
    export(settings, database, pico)
    (answer,) = answers(settings, database, FIRST_MS + 32 * DAY_MS, texts)
    why = texts("The archived CSV file that has them is missing: {file}.", file="PicodataX.csv")
    assert answer.details[0].endswith(why)
    (answer,) = answers(settings, database, FIRST_MS + 38 * DAY_MS, texts)
    late = texts("Some readings are overdue for removal by a week or more.")
    assert answer.text == f"{late}{SPACE[texts.language]}{why}"
    commands = [shown(remedy, settings, texts).get("command", "") for remedy in answer.remedies]
    assert [command.partition("flask10x export ")[2] for command in commands] == [
        "--archived /.../PicodataX.csv",
        "--rebuild PicodataX.csv --whole",
        "--verify",
    ]
    verified = verify(settings, database, pico)[0]
    assert not verified.failed
    assert verified.text == (
        "1 row, 2025-08-24 10:46:42 to 2025-08-24 10:46:42, equal; old readings stay in the"
        " database. The archived CSV file that has them is missing: PicodataX.csv. Run: flask10x"
        " export --rebuild PicodataX.csv --whole"
    )


def test_the_page_has_it(make_settings: MakeSettings, database: Database) -> None:
    app = create_app(make_settings(RETENTION_DAYS=30))
    try:
        assert "How long readings are kept <" in app.test_client().get("/status").text
    finally:
        app.extensions["flask10x"].close()
