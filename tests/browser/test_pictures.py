"""The pictures in the documents, of the made-up house; `make pictures` takes them anew."""

import io
import os
from pathlib import Path

import pytest
from PIL import Image

from tests.browser.chromium import Browser
from tests.browser.house import send
from tests.e2e.service import Service

# Where `make pictures` wants them.
WANTED = os.environ.get("PICTURES")
MOST_BYTES = 150_000
COLOURS = 128
DESK, PHONE = (1280, 1000), (360, 780)
# The tiles of four stations, and no empty page below them.
HOME = (1280, 840)
PICTURES = {
    "home": ("/", "en", "light", HOME),
    "home.ja": ("/", "ja", "light", HOME),
    "desktop": ("/history?from=-24h", "en", "light", DESK),
    "desktop.ja": ("/history?from=-24h", "ja", "light", DESK),
    "dark": ("/history?endpoint=data2&endpoint=data3&from=-7d", "en", "dark", DESK),
    "dark.ja": ("/history?endpoint=data2&endpoint=data3&from=-7d", "ja", "dark", DESK),
    "phone": ("/history?from=-24h", "en", "light", PHONE),
    "phone.ja": ("/history?from=-24h", "ja", "light", PHONE),
}


# One of each kind where others than `make pictures` take them, and both languages.
SHOWN = ("home", "desktop", "dark", "phone.ja")


@pytest.mark.tools
@pytest.mark.parametrize(
    "name",
    [*SHOWN, *(pytest.param(one, marks=pytest.mark.long) for one in PICTURES if one not in SHOWN)],
)
def test_a_picture(browser: Browser, house: Service, tmp_path: Path, name: str) -> None:
    path, language, theme, size = PICTURES[name]
    browser.resize(*size)
    browser.open(f"/?lang={language}&theme={theme}")
    send(house, 640)
    browser.open(path, charts=5 if path.startswith("/history") else None)
    shown = Image.open(io.BytesIO(browser.driver.get_screenshot_as_png())).convert("RGB")
    assert shown.size == size
    picture = (Path(WANTED) if WANTED else tmp_path) / f"{name}.png"
    shown.quantize(COLOURS, Image.Quantize.MAXCOVERAGE).save(picture, optimize=True)
    assert picture.stat().st_size < MOST_BYTES
    # A page that was not drawn has next to no colours.
    assert len(shown.getcolors(maxcolors=1 << 24) or []) > COLOURS


@pytest.mark.parametrize("name", PICTURES)
def test_the_documents_show_it(name: str) -> None:
    docs = Path(__file__).parents[2] / "docs"
    language = "ja" if name.endswith(".ja") else "en"
    page = "howto/home-page.md" if name.startswith("home") else "explanation/history-page.md"
    document = docs / language / page
    assert f"](../../pictures/{name}.png)" in document.read_text(encoding="utf-8")
    assert (docs / "pictures" / f"{name}.png").stat().st_size < MOST_BYTES
