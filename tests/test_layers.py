"""The house as a test: what may import what (docs/decisions/0003). It doubles as the map.

A module may import its own folder and the layers below; folders of one layer never see each other.
That is the wall between `recording`, `history`, `export` and `alerts`.
"""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "flask10x"

# From the ground up: `errors` and `translation` import nothing, `server` may import all.
LAYERS = (
    ("errors", "translation"),
    ("readings",),
    ("config",),
    ("system",),
    ("database",),
    ("recording", "history", "export", "alerts"),
    ("health",),
    ("runtime", "importing", "maintenance", "mqtt"),
    ("web", "commands"),
    ("server", "__main__"),
)
# What serves HTTP and what speaks to a broker, and where it may be imported. The others never load
# it.
HTTP = {
    "flask": ("web", "server"),
    "werkzeug": ("web", "server"),
    "gunicorn": ("server",),
    "gevent": ("server",),
    "paho": ("mqtt",),
    "prometheus_client": ("web",),
}

MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


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


def folder_of(path: Path) -> str:
    """The folder below `flask10x/`, or the module that stands beside the folders."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def layer_of(folder: str) -> int:
    return next(number for number, folders in enumerate(LAYERS, 1) if folder in folders)


def test_a_module_imports_only_its_own_folder_and_lower_layers() -> None:
    wrong = []
    for path in MODULES:
        own = folder_of(path)
        for name in imported(path):
            top, _, rest = name.partition(".")
            folder = rest.partition(".")[0] if top == "flask10x" else ""
            is_above = folder not in ("", own) and layer_of(folder) >= layer_of(own)
            if is_above or own not in HTTP.get(top, (own,)):
                wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert wrong == []


def test_the_package_itself_imports_nothing() -> None:
    assert imported(PACKAGE / "__init__.py") == set()


def test_every_folder_has_a_layer_and_every_name_a_folder() -> None:
    assert {folder_of(p) for p in MODULES} == {folder for layer in LAYERS for folder in layer}


def test_migrations_import_nothing_of_ours() -> None:
    versions = (PACKAGE.parent / "migrations" / "versions").glob("*.py")
    for path in versions:
        assert not {n for n in imported(path) if n.startswith("flask10x")}, path.name


def test_a_page_imports_no_page() -> None:
    """What two pages share has a name below them; only the application knows them."""
    pages = PACKAGE / "web" / "pages"
    wrong = []
    for path in MODULES:
        own = path.relative_to(pages).parts[0] if path.is_relative_to(pages) else ""
        for name in imported(path):
            page = name.removeprefix("flask10x.web.pages.")
            if page != name and page.partition(".")[0] != own:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert wrong == []
