"""The documents say what the program does: settings, stations, commands, SQL, in both languages."""

import inspect
import json
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import fields
from fnmatch import fnmatch
from gettext import gettext as _
from gettext import ngettext
from itertools import product, zip_longest
from pathlib import Path

import click
import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask10x.commands import main
from flask10x.config import settings as settings_module
from flask10x.config import station_file
from flask10x.config.alerts import file as alert_file
from flask10x.config.alerts import rules as alert_rules
from flask10x.config.alerts.rules import keys_of
from flask10x.config.readers import WrongEntry
from flask10x.config.settings import READERS
from flask10x.config.station_keys import (
    BAND_KEYS,
    FAULT_CODES,
    FAULT_KEYS,
    MEASUREMENT_KEYS,
    STATION_KEYS,
)
from flask10x.config.toml import Key
from flask10x.database.database import Database
from flask10x.errors import ExportError, SettingsError
from flask10x.export import refusals
from flask10x.export.file import CountedLines
from flask10x.export.verify import ComparedRows
from flask10x.importing.importer import ImportOutcome
from flask10x.maintenance.backup import Backup
from flask10x.readings.numbers import SPELLINGS
from flask10x.readings.parse import Reading
from flask10x.readings.reasons import ENGLISH
from flask10x.readings.stations import BUILT_IN, Measurement, Station
from flask10x.recording.writer import Writer
from flask10x.system.wording import amount
from flask10x.web.app import create_app
from tests.conftest import MakeSettings
from tests.faults import kill_table
from tests.support.rows import execute
from tests.support.speaking import speaking

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("en", "ja")
# What stands outside the two trees of documents has its language in its name.
SUFFIXES = {"en": "", "ja": ".ja"}
OUTSIDE = ("README", "deploy/README")
# What developers read: files, and a folder.
ENGLISH_ONLY = {"CHANGELOG.md", "CONTRIBUTING.md", "RELEASING.md", "SECURITY.md", "docs/decisions"}


def tree(language: str) -> set[str]:
    """The pages below docs/en or docs/ja, without `.md`; the trees mirror each other."""
    folder = ROOT / "docs" / language
    return {path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.md")}


def file_of(page: str, language: str) -> str:
    """The file of a page in a language, from the root of the project."""
    if page in OUTSIDE:
        return f"{page}{SUFFIXES[language]}.md"
    return f"docs/{language}/{page}.md"


def language_of(file: str) -> str:
    """The language of such a file; empty for any other file."""
    if match := re.match("docs/(en|ja)/", file):
        return match[1]
    outside = {file_of(page, language): language for page in OUTSIDE for language in LANGUAGES}
    return outside.get(file, "")


PAGES = (*OUTSIDE, *sorted(set.union(*map(tree, LANGUAGES))))
FILES = [file_of(page, language) for page in PAGES for language in LANGUAGES]
# The last two begin what their owners give people to copy (howto/alerts.md).
HOSTS = {"localhost", "192.168.0.7", "<host>", "raspberrypi.local", "house.example.org"}
HOSTS |= {"discord.com", "hooks.slack.com"}
VARIABLE = re.compile(r"FLASK10X_[A-Z]+(?:_[A-Z]+)*")
# Without a default of their own; what the settings file shows is an example.
UNSET = {
    *(
        "timezone",
        "place",
        "write_tokens_file",
        "read_tokens_file",
        "notes_tokens_file",
        "allowed_hosts",
        "notify_hosts",
    ),
    *("mqtt_url", "mqtt_password_file", "mqtt_discovery", "altitude_m", "host_name"),
    "ignored_senders",
    "backup_copy_dir",
}
# Shown as an example of an error.
MISTYPED = {"FLASK10X_WORKER"}
# The system's, and what the program of a way is given.
LOCALE = {"LC_ALL", "LC_MESSAGES", "HTTPS_PROXY", "ALERT_TITLE", "ALERT_OCCASION"}

# Their blocks of kind `text` have what a command says, in the language of the page.
ANSWERED = (
    *("howto/alerts", "howto/back-up", "howto/export-csv", "howto/import-csv", "howto/mend-csv"),
    "reference/settings",
)

SECTION_OF_REFUSALS = {
    "en": "When the export refuses a file",
    "ja": "書き出しが拒否されたとき",
}

ON_POSTGRES = {"en": "On PostgreSQL", "ja": "PostgreSQL の場合"}

in_both_languages = pytest.mark.parametrize("language", LANGUAGES)


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, kind: str = r"\w+") -> list[str]:
    """The fenced blocks of a kind, without their fences."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def example(page: str, language: str, label: str, kind: str = "json") -> str:
    """The fenced block of a kind that follows `<!-- example: LABEL -->`."""
    comment = rf"^<!-- example: {re.escape(label)} -->\n"
    text = read(file_of(page, language))
    (block,) = re.findall(rf"{comment}```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(block)


def table(text: str) -> dict[str, list[str]]:
    """The rows of all tables of a page, by their first cell."""
    lines = (line for line in text.splitlines() if line.startswith("| "))
    rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return {row[0]: row[1:] for row in rows}


def section(text: str, heading: str) -> str:
    """From the heading `## heading` to the next one of that level."""
    return text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def on_postgres(page: str, language: str) -> str:
    """The section of a page for a service on PostgreSQL."""
    return section(read(file_of(page, language)), ON_POSTGRES[language])


def on_sqlite(page: str, language: str) -> str:
    """The page without that section."""
    return read(file_of(page, language)).replace(on_postgres(page, language), "")


def test_both_languages_show_the_same_commands() -> None:
    different = []
    for page in PAGES:
        kinds = r"(?!text)\w+" if page in ANSWERED else r"\w+"
        english, japanese = (blocks(read(file_of(page, language)), kinds) for language in LANGUAGES)
        pairs = zip_longest(english, japanese)
        different += [(page, *pair) for pair in pairs if pair[0] != pair[1]]
    assert different == []


def test_the_shell_understands_the_commands() -> None:
    wrong = []
    for page in PAGES:
        for script in blocks(read(file_of(page, "en")), "sh"):
            command = ["/bin/sh", "-n", "-c", script]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                wrong.append((page, script, done.stderr))
    assert wrong == []


def test_each_link_leads_to_a_file() -> None:
    missing = [
        (name, target)
        for name in FILES
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", read(name))
        if not (ROOT / name).parent.joinpath(target).is_file()
    ]
    assert missing == []


def test_a_page_leads_to_pages_of_its_own_language() -> None:
    wrong = []
    for page, language in product(PAGES, LANGUAGES):
        name = file_of(page, language)
        # The same page in the other language, and what there is in English only.
        allowed = {file_of(page, other) for other in LANGUAGES} | ENGLISH_ONLY
        for link in re.findall(r"\]\(([^)#]+\.md)[^)]*\)", read(name)):
            path = (ROOT / name).parent.joinpath(link).resolve().relative_to(ROOT)
            is_other = language_of(path.as_posix()) != language
            if is_other and not {path.as_posix(), path.parent.as_posix()} & allowed:
                wrong.append((name, link))
    assert wrong == []


def test_no_host_but_the_examples_is_named() -> None:
    hosts = [(name, h) for name in FILES for h in re.findall(r"https?://([^/:\s`)]+)", read(name))]
    assert [(name, host) for name, host in hosts if host not in HOSTS] == []


@in_both_languages
def test_the_measured_kills_are_in_the_readme_and_power_cuts_in_durability(language: str) -> None:
    runs = [json.loads(line) for line in read("tests/faults/figures.jsonl").splitlines()]
    kills = [run for run in runs if kill_table.is_kill(run)]
    cuts = [
        run
        for run in runs
        if (run["fault"], run.get("variant")) == ("power-cut", "ACK=committed, SYNCHRONOUS=FULL")
    ]

    assert sum(run["lost"] + run.get("doubled", 0) for run in kills + cuts) == 0
    texts = {
        read(file_of("README", language)).split("\n## ", 1)[0]: kills,
        read(file_of("explanation/durability", language)): cuts,
    }
    for text, measured in texts.items():
        for name in ("times", "acknowledged"):
            assert f" {sum(run[name] for run in measured):,} " in text.replace("\n", " ")


@in_both_languages
def test_what_the_installation_makes_is_removed(language: str) -> None:
    page = read(file_of("howto/uninstall", language))
    suffixes = {".service", ".timer", ".socket"}
    units = {path.name for path in (ROOT / "deploy").iterdir() if path.suffix in suffixes}
    text = "\n".join(read(f"deploy/{name}") for name in units)
    folders = {
        f"/var/lib/{name}"
        for names in re.findall("StateDirectory=(.+)", text)
        for name in names.split()
    }
    folders |= set(re.findall(r"/(?:opt|etc)/flask10x", text))

    removed = set(" ".join(re.findall("^sudo rm -rf (.+)$", page, re.MULTILINE)).split())
    assert folders == {folder for folder in removed if "*" not in folder}
    assert {
        name
        for name in units
        if not any(fnmatch(f"/etc/systemd/system/{name}", p) for p in removed)
    } == set()


# Settings


def test_each_setting_is_documented_with_its_default() -> None:
    # test_deploy.py holds this file against the program.
    environment = dict(re.findall("^#(\\w+)=(.*)$", read("deploy/flask10x.env"), re.MULTILINE))
    wrong = []
    for name, language in product(READERS, LANGUAGES):
        variable = f"FLASK10X_{name.upper()}"
        row = table(read(file_of("reference/settings", language))).get(f"`{variable}`", [""])
        default = environment[variable].replace("/var/lib/flask10x/", "<DATA_DIR>/")
        if not all(row) or (name not in UNSET and f"`{default}`" not in row[0]):
            wrong.append((language, variable, default, row))
    assert wrong == []


def test_the_documented_limits_are_the_programs() -> None:
    wrong = []
    for name, language in product(READERS, LANGUAGES):
        rows = table(read(file_of("reference/settings", language)))
        values = rows[f"`FLASK10X_{name.upper()}`"][1]
        if limits := re.fullmatch(r"`([\d.]+)`–`([\d.]+)`", values):
            low, high = map(float, limits.groups())
            inside = [value_of(name, text) for text in limits.groups()]
            beyond = [value_of(name, f"{number:.12g}") for number in (low - 1, high + 1)]
            if (inside, beyond) != ([low, high], [None, None]):
                wrong.append((language, name, values))
        elif re.fullmatch(r"`\w+`(, `\w+`)+", values):
            choices = re.findall(r"\w+", values)
            wrong += [(language, name, c) for c in choices if value_of(name, c) is None]
    assert wrong == []


def value_of(name: str, text: str) -> object:
    """What a setting becomes of a text, or None if it is refused."""
    try:
        return READERS[name](text)
    except WrongEntry:
        return None


def test_each_environment_variable_of_the_program_is_documented() -> None:
    sources = [*ROOT.glob("flask10x/**/*.py"), *ROOT.glob("scripts/*.py")]
    sources += [
        path
        for path in ROOT.glob("deploy/**/*")
        if path.is_file() and path.parent.name != "__pycache__"
    ]
    named = {name for path in sources for name in VARIABLE.findall(path.read_text())}

    for language in LANGUAGES:
        assert named <= set(VARIABLE.findall(read(file_of("reference/settings", language))))


def test_no_page_names_a_setting_that_does_not_exist() -> None:
    settings = {reader.upper() for reader in READERS}
    wrong = []
    for name in FILES:
        text = read(name)
        prefixed = {n.removeprefix("FLASK10X_") for n in set(VARIABLE.findall(text)) - MISTYPED}
        bare = {n for n in re.findall(r"`([A-Z]+(?:_[A-Z]+)+)[`=]", text) if "FLASK10X" not in n}
        bare = {n for n in bare if not n.startswith(("SQLITE_", "LITESTREAM_"))}
        names = (prefixed - settings - {"CONFIG", "ENV_FILE"}) | (bare - settings - LOCALE)
        wrong += [(name, unknown) for unknown in sorted(names)]
    assert wrong == []


@in_both_languages
def test_the_shown_messages_are_the_programs(language: str) -> None:
    (shown,) = blocks(read(file_of("reference/settings", language)), "text")
    messages = []
    for environment in ({"FLASK10X_WORKERS": "0"}, {"FLASK10X_WORKER": "2"}):
        with speaking(language), pytest.raises(SettingsError) as caught:
            settings_module.load(environment)
        messages.append(f"flask10x: {caught.value}")

    assert shown.splitlines() == messages


def answers(page: str, language: str) -> list[str]:
    """The lines of the one answer of a command that a page shows."""
    (shown,) = blocks(read(file_of(page, language)), "text")
    return shown.splitlines()


@in_both_languages
def test_the_shown_answer_of_a_backup_is_the_programs(language: str) -> None:
    path = Path("/mnt/usb/flask10x/flask10x-20250824-003500.sqlite3")
    done = Backup(path, 2_774_012, 247_300_000, 9.8, ())

    with speaking(language):
        assert answers("howto/back-up", language) == [str(done)]


@in_both_languages
def test_the_shown_answer_of_an_import_is_the_programs(language: str) -> None:
    done = ImportOutcome(
        name="BedRoomEnv.csv",
        stored=20_000,
        present=0,
        rejected=0,
        rejected_path=Path("BedRoomEnv.csv.rejected.csv"),
        missing=(),
    )

    with speaking(language):
        assert answers("howto/import-csv", language) == [str(done)]


@in_both_languages
def test_the_shown_answer_of_verify_is_made_of_the_programs_messages(language: str) -> None:
    bedroom = ComparedRows(rows=41_210, first=b"2025-07-05 22:22:56,", last=b"2025-09-02 00:04:31,")
    living = ComparedRows(rows=8105, first=b"2025-08-01 09:00:12,", last=b"2025-09-02 00:04:40,")
    row = rb"b'2025-09-02 00:05:00,650.0,1200.0,0.97,24.5,25.0,50.0\r\n'".decode()
    before = "{n} row from before Flask10X is not in the database"
    befores = "{n} rows from before Flask10X are not in the database"
    differs = "line {number}: the file has {line}, the database {expected}"

    with speaking(language):
        found = [
            _("{rows}, equal").format(rows=bedroom),
            ngettext(before, befores, 20_000).format(n=20_000),
            _("{rows} not exported yet").format(rows=amount(12, "row")),
        ]
        difference = _(differs).format(number=8107, line=_("nothing"), expected=row)
        different = _("{rows}; DIFFERENT: {difference}").format(rows=living, difference=difference)
    folder = "/var/lib/flask10x/csv"
    assert answers("howto/mend-csv", language) == [
        f"{folder}/BedRoomEnv.csv: {'; '.join(found)}",
        f"{folder}/LR_env.csv: {different}",
    ]


def test_each_json_block_is_json() -> None:
    shown = [(name, block) for name in FILES for block in blocks(read(name), "json")]
    wrong = []
    for name, block in shown:
        try:
            json.loads(block)
        except ValueError as error:
            wrong.append((name, str(error), block))
    assert wrong == []


@in_both_languages
def test_the_shown_chart_is_the_programs(
    client: FlaskClient, writer: Writer, language: str
) -> None:
    answer = example("reference/http-api", language, "chart")
    at = 1_755_993_600_000
    for minute, co2 in ((0, 600.0), (1, 620.0), (2, 610.0), (6, 500.0)):
        writer.submit(Reading("data2", at + minute * 60_000, (co2, None, None, None, None)))
    writer.step()

    found = client.get("/history/series?measurement=co2&buckets=4").get_json()
    assert found == json.loads(answer)


@in_both_languages
def test_the_shown_answers_are_the_programs(
    client: FlaskClient, writer: Writer, language: str
) -> None:
    page = "reference/http-api"
    labels = ("broken body", "reading", "wrong parameter")
    broken_body, reading, wrong_parameter = (
        json.loads(example(page, language, label)) for label in labels
    )
    values = (700.0, 1200.0, 0.97, 24.5, 25.0, None)
    writer.submit(Reading("data4", 1_755_993_612_000, values))
    writer.step()

    form = client.post("/data", data={"temperature": "25.1"})
    assert (form.status_code, form.get_json()) == (400, broken_body)
    assert client.get("/history/json").get_json() == [reading]
    assert client.get("/history/json?limt=10").get_json() == wrong_parameter


@in_both_languages
def test_the_shown_latest_values_are_the_programs(
    client: FlaskClient, database: Database, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = example("reference/http-api", language, "latest")
    at_ms = 1_755_993_612_345
    values = "650, 26.5, 48, 996.5"
    execute(
        database.path,
        "INSERT INTO readings (endpoint, received_at, co2, temperature, humidity, pressure)"
        f" VALUES ('data2', {at_ms}, {values})",
    )
    monkeypatch.setattr(time, "time_ns", lambda: (at_ms + 12_000) * 1_000_000)

    shown, program = json.loads(answer), client.get("/api/v1/latest?station=data2").get_json()
    # The page of derived values lists all of them; the example has some.
    for key in ("derived", "derived_units"):
        assert shown[key].items() <= program[key].items()
        program[key] = shown[key]
    assert program == shown


# Commands and pages


def commands() -> Iterator[tuple[str, click.Command]]:
    """Each command and each of a group, by its words."""
    context = click.Context(main.group)
    for name in main.group.list_commands(context):
        command = main.group.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", each) for inner, each in command.commands.items())


@in_both_languages
def test_each_command_and_option_is_documented(language: str) -> None:
    rows = table(read(file_of("reference/commands", language)))
    names = []
    for name, command in commands():
        # A hidden one is what the service gives a command that it starts itself.
        options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
        names += [name, *(f"{name} {option}" for each in options for option in each.opts)]
    assert [name for name in names if f"`flask10x {name}`" not in rows] == []


@in_both_languages
def test_the_shown_answers_with_warnings_are_the_programs(
    make_settings: MakeSettings, database: Database, language: str
) -> None:
    page = "explanation/partial-readings"
    app = create_app(make_settings(PARTIAL_READINGS="accept"))
    for label in ("warnings", "flat fields"):
        command = example(page, language, label, "sh")
        body = re.findall(r"-d '(.*)'", command)[0].encode()
        posted = app.test_client().post("/data4", data=body, content_type="application/json")
        assert posted.get_json() == json.loads(example(page, language, label))
    app.extensions["flask10x"].close()


@in_both_languages
def test_each_page_is_documented(app: Flask, language: str) -> None:
    documents = read(file_of("reference/http-api", language))
    rules = {rule.rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"}

    assert {rule for rule in rules if f"{rule}`" not in documents} == set()


@in_both_languages
def test_each_number_of_metrics_is_documented(client: FlaskClient, language: str) -> None:
    page = read(file_of("reference/http-api", language))

    for key in client.get("/metrics").get_json():
        assert f"`{key}`" in page


@in_both_languages
@pytest.mark.parametrize("path", ["/readyz", "/metrics/details"])
def test_each_key_is_documented_at_its_route(client: FlaskClient, path: str, language: str) -> None:
    rows = table(section(read(file_of("reference/http-api", language)), f"`GET {path}`"))

    assert {f"`{key}`" for key in client.get(path).get_json()} <= rows.keys()


@in_both_languages
def test_the_manual_answers_each_point_of_the_old_one(language: str) -> None:
    numbers = re.findall(r"^## (\d+)\. ", read(file_of("howto/manual", language)), re.MULTILINE)

    assert numbers == ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]


def refusals_of_all_kinds() -> list[ExportError]:
    path = Path("/folder/NAME.csv")
    zone = _(
        "the file was written in the time zone {zone}, which this system does not know;"
        " this command runs in {here}"
    )
    return [
        refusals.other_header(path, b"one", b"other", is_exported=True),
        refusals.torn(path, b"line", 1),
        refusals.changed(path),
        refusals.foreign(path, b"line", 1),
        refusals.repeated(path, b"line"),
        refusals.lost_rows(path, b"line", b"other"),
        refusals.not_ours(path, b"line", 1),
        refusals.not_reproducible(path, 1),
        refusals.moved_midway(path),
        refusals.unknown_rows(path, CountedLines(1, 2, b"line"), ""),
        refusals.other_zone(path, zone.format(zone="Asia/Tokyo", here="UTC")),
        refusals.of_other_station(path, "data", None),
        refusals.older_rows(path, 1, 2),
        refusals.removed_rows(path, "2025-08-24 10:46:40"),
        refusals.changed_below_floor(path, 1),
    ]


@in_both_languages
def test_each_refusal_of_the_export_is_documented(language: str) -> None:
    rows = table(section(read(file_of("howto/mend-csv", language)), SECTION_OF_REFUSALS[language]))
    english = refusals_of_all_kinds()
    with speaking(language):
        spoken = refusals_of_all_kinds()

    assert len(english) == sum(
        inspect.isfunction(found) and not name.startswith("_")
        for name, found in vars(refusals).items()
    )
    for refusal, said in zip(english, spoken, strict=True):
        (row,) = (cells for message, cells in rows.items() if message.strip("`") in str(said))
        # What the journal says has a column of its own where the terminal speaks Japanese.
        assert language == "en" or row[0].strip("`") in str(refusal)
        named = re.findall(r"flask10x \w+(?: --\w+)*|truncate", row[-1])
        assert named
        assert set(named) >= set(
            re.findall(r"flask10x (?:import|export --rebuild)|truncate", str(refusal))
        )


# Stations


def limits_of(measurement: Measurement) -> list[str]:
    maximum = "–" if measurement.maximum is None else f"{measurement.maximum:g}"
    return [measurement.unit or "–", f"{measurement.minimum:g}", maximum]


@in_both_languages
@pytest.mark.parametrize("station", BUILT_IN.all, ids=lambda station: station.endpoint)
def test_each_station_and_measurement_is_documented(station: Station, language: str) -> None:
    text = read(file_of("reference/stations", language))
    rows = table(section(text, station.endpoint))

    _, csv_file, view = table(text)[f"`/{station.endpoint}`"]
    assert (csv_file, view) == (f"`{station.csv_name}`", f"`v_{station.endpoint}`")
    assert list(rows)[1:] == [f"`{m.path}`" for m in station.measurements]
    for m in station.measurements:
        names = [f"`{m.column}`", f"`{m.csv_header}`"]
        assert rows[f"`{m.path}`"] == [*limits_of(m), *names]
    headings = blocks(read(file_of("reference/csv-format", language)), "text")[0]
    assert ",".join(station.csv_header) + "\n" in headings


KEYS_OF_STATIONS = {
    "[stations.ENDPOINT]": STATION_KEYS,
    "[stations.ENDPOINT.measurements.COLUMN]": MEASUREMENT_KEYS,
    "faults": FAULT_KEYS,
    "bands": BAND_KEYS,
}
# Tables inside tables, which have sections of their own.
INNER = {"`measurements`", "`faults`", "`bands`"}


@in_both_languages
def test_each_key_of_the_file_of_stations_is_documented(language: str) -> None:
    page = read(file_of("reference/stations-file", language))
    fixed = {"en": "Fixed", "ja": "固定"}[language]
    wrong: list[object] = []
    for heading, own in KEYS_OF_STATIONS.items():
        rows = {n: row for n, row in table(section(page, f"`{heading}`")).items() if len(row) == 3}
        keys = {f"`{key.name}`": key for key in own}
        names = {name for name in rows if name.startswith("`")} - INNER
        wrong += [(heading, name) for name in names ^ keys.keys()]
        for name in names & keys.keys():
            key, (without, values, meaning) = keys[name], rows[name]
            limits, readings = limits_of_key(key, values)
            is_right = readings == [*limits, None, None][: len(readings)]
            documented = (fixed in meaning, without in ("needed", "必須"))
            if not is_right or documented != (key.fixed, key.needed):
                wrong.append((heading, name, without, values, meaning))
    assert wrong == []


@in_both_languages
def test_each_meaning_of_a_fault_value_is_documented(language: str) -> None:
    text = section(read(file_of("reference/stations-file", language)), "`faults`")
    rows = table(text)

    for code, is_kept in FAULT_CODES.items():
        warning_only, said = rows[f"`{code}`"]
        assert warning_only == f"`{str(is_kept).lower()}`"
        words = re.split(r"\{\w+\}", ENGLISH[code])
        assert re.fullmatch(".+".join(map(re.escape, words)), said)


def files_of_stations() -> list[tuple[str, str]]:
    """Each part of such a file that a page shows."""
    shown = [(page, text) for page in PAGES for text in blocks(read(file_of(page, "en")), "toml")]
    return [(page, text) for page, text in shown if "[stations." in text]


@pytest.mark.parametrize(("page", "text"), files_of_stations())
def test_the_shown_files_of_stations_are_right(page: str, text: str) -> None:
    assert station_file.parse(text.encode(), Path(page)).all != BUILT_IN.all


KEYS_OF_CHANNELS = {kind: {*keys} for kind, (_, keys) in alert_rules.CHANNELS.items()}
KEYS_OF_EACH_CHANNEL = set.intersection(*KEYS_OF_CHANNELS.values())
KEYS_OF_ALERTS = {
    "": keys_of(alert_rules.Alerts),
    "`[quiet_hours]`": keys_of(alert_rules.QuietHours),
    "`[rules.NAME]`": alert_rules.RULE_KEYS,
    **{f"`{kind}`": keys for kind, (_, keys) in alert_rules.RULES.items()},
    "`[channels.NAME]`": (Key("kind", str, needed=True), *KEYS_OF_EACH_CHANNEL),
    **{f"`{kind}`": (*(keys - KEYS_OF_EACH_CHANNEL),) for kind, keys in KEYS_OF_CHANNELS.items()},
}
# Tables inside the file, which have sections of their own.
INNER_OF_ALERTS = {"`quiet_hours`", "`rules`", "`channels`"}
TOP_HEADING = {"en": "At the top", "ja": "先頭のキー"}


@in_both_languages
def test_each_key_of_the_file_of_alerts_is_documented(language: str) -> None:
    page = read(file_of("reference/alerts-file", language))
    wrong: list[object] = []
    for heading, own in KEYS_OF_ALERTS.items():
        rows = table(section(page, heading or TOP_HEADING[language]))
        keys = {f"`{key.name}`": key for key in own}
        names = {name for name in rows if name.startswith("`")} - ({*INNER_OF_ALERTS} - {*keys})
        wrong += [(heading, name) for name in names ^ keys.keys()]
        for name in names & keys.keys():
            key, (without, values, _meaning) = keys[name], rows[name]
            _, readings = limits_of_key(key, values)
            is_right = None not in readings[:2] and {*readings[2:]} <= {None}
            if not is_right or (without in ("needed", "必須")) != key.needed:
                wrong.append((heading, name, without, values))
    assert wrong == []


def limits_of_key(key: Key, values: str) -> tuple[list[float], list[object]]:
    """The documented limits, if there are any, and what the key makes of them and what is beyond.

    What the key refuses is None.
    """
    if not (limits := re.fullmatch(r"`([\d.]+)`–`([\d.]+)`", values)):
        return [], []
    low, high = (float(n) if "." in n else int(n) for n in limits.groups())
    below = low - 0.5 if isinstance(low, float) else low - 1
    return [low, high], [read_by(key, number) for number in (low, high, below, high + 1)]


def read_by(key: Key, number: float) -> object:
    try:
        return key.read(number)
    except WrongEntry:
        return None


@in_both_languages
def test_what_a_rule_is_without_a_key_is_documented(language: str) -> None:
    page = read(file_of("reference/alerts-file", language))
    wrong = []
    for kind, (made, keys) in alert_rules.RULES.items():
        rows = table(section(page, f"`{kind}`"))
        defaults = {field.name: field.default for field in fields(made)}
        for key in keys:
            number = re.fullmatch(r"`([\d.]+)`", rows[f"`{key.name}`"][0])
            if number and key.read(int(number[1])) != defaults[key.field]:
                wrong.append((kind, key.name, number[1], defaults[key.field]))
    assert wrong == []


def files_of_alerts() -> list[tuple[str, str]]:
    """Each part of such a file that a page shows."""
    shown = [(page, text) for page in PAGES for text in blocks(read(file_of(page, "en")), "toml")]
    return [(page, text) for page, text in shown if "[rules." in text or "[channels." in text]


@pytest.mark.parametrize(("page", "text"), files_of_alerts())
def test_the_shown_files_of_alerts_are_right(page: str, text: str) -> None:
    assert alert_file.parse(text.encode(), Path(page), BUILT_IN).file == page


@in_both_languages
def test_each_spelling_of_a_unit_is_documented(language: str) -> None:
    rows = table(read(file_of("reference/stations", language)))

    for unit, spellings in SPELLINGS.items():
        if unit:
            assert rows[unit] == [", ".join(f"`{spelling}`" for spelling in spellings)]


@in_both_languages
@pytest.mark.parametrize("station", BUILT_IN.all, ids=lambda station: station.endpoint)
def test_the_shown_reading_is_accepted(
    client: FlaskClient, station: Station, language: str
) -> None:
    text = read(file_of("reference/stations", language))
    (command,) = blocks(section(text, station.endpoint), "sh")
    body = re.findall(r"-d '(.*)'", command)[0].encode()

    answer = client.post(f"/{station.endpoint}", data=body, content_type="application/json")
    assert (answer.status_code, command.strip().endswith(f"/{station.endpoint}")) == (200, True)
