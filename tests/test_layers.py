"""The house as a test: what may import what (docs/design.md, "Layers"). It doubles as the map."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "flask10x"

LAYERS = {
    0: {"english", "errors", "japanese", "setting_values", "settings", "stations"},
    1: {
        "amounts",
        "body",
        "chunks",
        "counters",
        "csv_files",
        "csv_lines",
        "damage",
        "disk",
        "findings",
        "gauges",
        "legacy_csv",
        "legacy_files",
        "legacy_times",
        "locks",
        "logs",
        "readings",
        "reasons",
        "refusals",
        "reserve",
        "revisions",
        "rows",
        "sqlite",
        "sqlite_file",
        "sqlite_sql",
        "tables",
        "texts",
        "times",
        "tokens",
        "turns",
        "units",
    },
    2: {
        "backup",
        "batch",
        "buckets",
        "captions",
        "copies",
        "csv_rows",
        "cursors",
        "downloads",
        "export",
        "file_checks",
        "files",
        "filters",
        "follower",
        "health",
        "importing",
        "inspection",
        "intents",
        "keeper",
        "leftovers",
        "listening",
        "monitor",
        "operators",
        "origins",
        "outcomes",
        "positions",
        "queries",
        "ranges",
        "question",
        "rebuild",
        "rejected",
        "replay",
        "restore",
        "rollup_check",
        "rollups",
        "schema",
        "series",
        "service",
        "soundness",
        "statements",
        "store",
        "stored_rows",
        "sums",
        "verify",
        "writer",
        "zones",
        "search",
    },
    3: {
        "__main__",
        "cards",
        "cli",
        "commands",
        "compression",
        "doors",
        "headers",
        "history",
        "history_page",
        "ingest",
        "preferences",
        "rejected_page",
        "status",
        "unreadable",
    },
    4: {"answers", "app", "arrivals", "development", "gunicorn_settings", "worker"},
}
WEB = {"flask", "werkzeug", "gunicorn"}


def imported(path: Path) -> set[str]:
    """The dotted names that a module imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            base = node.module or ""
            names |= {f"{base}.{a.name}" for a in node.names} if base == "flask10x" else {base}
    return names


def layer_of(module: str) -> int:
    return next(number for number, names in LAYERS.items() if module in names)


MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_from_its_layer_or_below(path: Path) -> None:
    own = layer_of(path.relative_to(PACKAGE).parts[0].removesuffix(".py"))
    for name in imported(path):
        top, _, rest = name.partition(".")
        if top == "flask10x" and rest:
            assert layer_of(rest.partition(".")[0]) <= own, name
        assert top not in WEB or own >= 3, name


def test_the_package_itself_imports_nothing() -> None:
    assert imported(PACKAGE / "__init__.py") == set()


def test_every_module_has_a_layer_and_every_name_a_module() -> None:
    parts = {p.relative_to(PACKAGE).parts[0].removesuffix(".py") for p in MODULES}
    assert parts == set().union(*LAYERS.values())


def test_modules_stay_short() -> None:
    too_long = [p.name for p in MODULES if len(p.read_text(encoding="utf-8").splitlines()) > 300]
    assert too_long == []


def test_migrations_import_nothing_of_ours() -> None:
    versions = (PACKAGE.parent / "migrations" / "versions").glob("*.py")
    for path in versions:
        assert not {n for n in imported(path) if n.startswith("flask10x")}, path.name
