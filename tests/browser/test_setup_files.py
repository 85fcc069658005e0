"""A newcomer with a browser imports a year of old CSV files, and takes a backup to a new house."""

import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.browser.chromium import Browser, chromium
from tests.browser.conftest import base_of, become_administrator, needs_browser
from tests.browser.test_notifications import add_channel
from tests.browser.test_setup import check_by_axe
from tests.e2e.conftest import make_services
from tests.e2e.service import Service, wait_until
from tests.support.outside_faults import small_disk
from tests.support.receiver import receiving

pytestmark = pytest.mark.tools

DONE_WITHIN_SEC = 120
# Each half an hour, as somebody may have thinned them out.
ROWS = 2 * 24 * 365
FIRST = datetime(2022, 1, 1, tzinfo=UTC)
NAME = "PicodataX.csv"
FREEZER = """\
[stations.freezer]
label = "Freezer"
[stations.freezer.measurements.temperature]
path = "t"
unit = "°C"
"""

# The list of the pages goes on to the side on a phone.
WIDE = """
return [...document.querySelectorAll('.part *')].filter(
  (part) => part.getBoundingClientRect().right > document.documentElement.clientWidth + 1
).map((part) => part.outerHTML.slice(0, 120))
"""
FETCH_SUM = """
return (async () => {
const bytes = await (await fetch(arguments[0])).arrayBuffer();
const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
return [...sum].map((byte) => byte.toString(16).padStart(2, "0")).join("");
})();
"""
DROP = """
const files = new DataTransfer();
files.items.add(new File([arguments[1]], arguments[0], { type: "text/csv" }));
document.dispatchEvent(new DragEvent("drop", { dataTransfer: files, cancelable: true }));
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Service]:
    needs_browser()
    with make_services(tmp_path / "house") as make:
        yield make(commit_interval_sec=0, notify_hosts="127.0.0.1")


@pytest.fixture
def window(house: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile"), base_of(house)) as browser:
        yield browser


@pytest.fixture
def year(tmp_path: Path) -> Path:
    """A file of a year, with two lines that are none."""
    times = (FIRST + timedelta(minutes=30 * number) for number in range(ROWS))
    lines = [f"{at:%Y-%m-%d %H:%M:%S},{990 + at.hour}.5,{20 + at.day}.25" for at in times]
    text = "\r\n".join(["current_time,Pressure,Tempereture", *lines, "rubbish", "x,1,2", ""])
    path = tmp_path / NAME
    path.write_bytes(text.encode())
    return path


def is_done(browser: Browser) -> bool:
    """Whether what ran has ended, and the page says so."""
    return bool(browser.all("#run:not([data-running='yes']) .run"))


def said(browser: Browser, words: str) -> bool:
    """Whether what ran says this; a page that is being replaced says nothing."""
    return words in str(browser.script("return document.getElementById('run')?.innerText ?? ''"))


def wait_until_done(browser: Browser) -> None:
    wait_until(lambda: is_done(browser), DONE_WITHIN_SEC, "the command has ended")


def choose(browser: Browser, path: Path) -> None:
    browser.one("#upload input[type=file]").send_keys(str(path))
    browser.one("#upload button:not([type])").click()


@pytest.mark.parametrize(("language", "size"), [("en", (1280, 900)), ("ja", (360, 740))])
def test_a_year_of_old_csv_is_imported(
    house: Service, browser: Browser, year: Path, language: str, size: tuple[int, int]
) -> None:
    browser.resize(*size)
    browser.open(f"/?lang={language}")
    browser.open("/setup/files")
    assert "admin-link" in browser.one("main").text and not browser.all("#upload")
    check_by_axe(browser)
    become_administrator(house, browser)
    browser.open("/setup/files")
    choose(browser, year)
    preview = "form[action='/setup/files/import']"
    wait_until(lambda: browser.all(preview), DONE_WITHIN_SEC, "the preview is there")
    shown = browser.one(".preview").text
    assert NAME in shown and f"{ROWS:,}" in shown and f"{ROWS + 2:,}" in shown
    assert browser.script(WIDE) == []
    check_by_axe(browser)
    assert house.count() == 0
    browser.one(f"{preview} button[value=import]").click()
    wait_until_done(browser)
    assert (
        f"{ROWS} stored" in browser.one("#run").text or f"保存 {ROWS}" in browser.one("#run").text
    )
    assert house.count() == ROWS
    assert browser.one("#run a[download]").text == f"{NAME}.rejected.csv"
    assert browser.script(WIDE) == []
    check_by_axe(browser)
    # Once more: nothing is stored twice.
    browser.one("form[action='/setup/files/discard'] button").click()
    browser.wait(lambda: browser.all("#upload"), "the files are gone")
    browser.script(DROP, NAME, year.read_text().replace("\n", "\r\n"))
    wait_until(lambda: browser.all(preview), DONE_WITHIN_SEC, "the second preview is there")
    assert browser.one(".preview dd strong").text == "0"
    assert browser.errors() == []


def test_a_backup_is_made_and_restored_into_a_new_house(
    house: Service, browser: Browser, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for number in range(20):
        assert _post(house, number)
    house.wait_for_rows(20)
    (house.data_dir / "settings.toml").write_text('house_name = "Kita"\n')
    stations = house.data_dir / "stations.toml"
    stations.write_text(FREEZER)
    house.process.send_signal(signal.SIGHUP)
    wait_until(lambda: house.post("freezer", {"t": -18}).status == 200, DONE_WITHIN_SEC, "it is in")
    house.wait_for_rows(21)
    become_administrator(house, browser)
    browser.open("/setup/files")
    browser.one("form[action='/setup/files/backup'] button").click()
    wait_until_done(browser)
    link = browser.one("a[href^='/setup/files/backups/']").get_attribute("href") or ""
    (path,) = (house.data_dir / "backups").glob("*.sqlite3")
    noted = path.with_name(f"{path.name}.sha256").read_text().split()[0]
    assert urlsplit(link).path.endswith(path.name)
    assert browser.script(FETCH_SUM, link) == noted
    browser.one("form[action='/setup/files/verify'] button").click()
    wait_until(lambda: said(browser, "unchanged"), DONE_WITHIN_SEC, "it is checked")
    with (
        make_services(tmp_path / "new") as make,
        chromium(tmp_path_factory.mktemp("second"), base_of(new := make())) as second,
    ):
        assert _post(new, 100)
        new.wait_for_rows(1)
        become_administrator(new, second)
        second.open("/setup/files")
        choose(second, path)
        restore = "form[action='/setup/files/restore'] button"
        wait_until(lambda: second.all(restore), DONE_WITHIN_SEC, "it is checked")
        check_by_axe(second)
        shown = second.one(".parts").text
        assert "Freezer" in shown and "Name of the house: Kita" in shown
        second.one(restore).click()
        wait_until(lambda: said(second, "put back"), DONE_WITHIN_SEC, "it is restored")
        # The reading that had come is there, too, and the next ones, also of the freezer.
        assert new.count() == 22
        assert _post(new, 101) and new.post("freezer", {"t": -19}).status == 200
        new.wait_for_rows(24)
        second.open("/")
        assert "Kita" in second.one("body").text and "Freezer" in second.one("body").text
        # A page takes it back, as any change.
        assert (new.data_dir / "stations.toml").read_text() == stations.read_text()
        second.open("/setup")
        assert f"was restored from the backup {path.name}" in second.one(".part").text
        assert list(new.data_dir.glob("*.replaced-*"))
        new.check_integrity()


def test_a_house_comes_back_from_a_stick_after_its_card_has_died(
    house: Service, browser: Browser, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    written = {
        "stations.toml": FREEZER + '[stations.data2]\nlabel = "Attic"\norder = 1\n',
        "settings.toml": 'house_name = "Kita"\nplace = "43.06,141.35"\n',
    }
    for name, text in written.items():
        (house.data_dir / name).write_text(text)
    house.process.send_signal(signal.SIGHUP)
    wait_until(lambda: house.post("freezer", {"t": -18}).status == 200, DONE_WITHIN_SEC, "it is in")
    become_administrator(house, browser)
    with receiving() as receiver:
        add_channel(browser, receiver)
    browser.open("/setup/notifications/rule?kind=threshold&about=freezer.temperature&value=-10")
    browser.one("button[value=save]").click()
    rule = "a[href^='/setup/notifications/rule?name=freezer']"
    browser.wait(lambda: browser.all(rule), "the rule is there")
    with small_disk(tmp_path / "stick", "40m") as stick:
        browser.open("/setup/files")
        target = browser.one("input[name=backup_copy_dir]")
        target.send_keys(str(stick / "flask10x"))
        target.submit()
        wait_until(lambda: said(browser, "read back"), DONE_WITHIN_SEC, "the stick is tried")
        browser.one("form[action='/setup/files/backup'] button").click()
        wait_until(lambda: said(browser, "copied to"), DONE_WITHIN_SEC, "it is on the stick")
        (path,) = (stick / "flask10x").glob("*.sqlite3")
        written = {
            name: (house.data_dir / name).read_text()
            for name in ("stations.toml", "settings.toml", "alerts.toml")
        }
        house.stop()
        shutil.rmtree(house.data_dir)
        with (
            make_services(tmp_path / "new") as make,
            chromium(tmp_path_factory.mktemp("second"), base_of(new := make())) as second,
        ):
            become_administrator(new, second)
            second.open("/setup/files")
            choose(second, path)
            restore = "form[action='/setup/files/restore'] button"
            wait_until(lambda: second.all(restore), DONE_WITHIN_SEC, "it is checked")
            # All that has to be typed again, before it is restored.
            assert "enter it again afterwards: the secret of" in second.one(".parts").text
            second.one(restore).click()
            wait_until(lambda: said(second, "restored from"), DONE_WITHIN_SEC, "it is restored")
            # The secrets that are to be typed again go into the folder of the new house.
            moved = {
                name: text.replace(str(house.data_dir), str(new.data_dir))
                for name, text in written.items()
            }
            assert {name: (new.data_dir / name).read_text() for name in moved} == moved
            wait_until(
                lambda: new.post("freezer", {"t": -19}).status == 200, DONE_WITHIN_SEC, "it is in"
            )
            new.wait_for_rows(2)
            second.open("/")
            assert "Kita" in second.driver.title and second.all("#tile-freezer")
            second.open("/setup/notifications")
            assert second.all(rule)
            second.open("/setup/stations")
            assert second.texts(".stations h3, .stations a")[0].endswith("Attic")


def test_without_scripts_a_file_is_sent_looked_through_and_imported(
    house: Service, year: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    profile = tmp_path_factory.mktemp("without")
    with chromium(profile, base_of(house), scripts=False) as browser:
        become_administrator(house, browser)
        browser.open("/setup/files")
        choose(browser, year)
        preview = "form[action='/setup/files/import']"
        wait_until(lambda: browser.all(preview), DONE_WITHIN_SEC, "the page has reloaded itself")
        browser.one(f"{preview} button[value=import]").click()
        wait_until_done(browser)
        assert house.count() == ROWS


def _post(house: Service, number: int) -> bool:
    body = {"temperature": f"{20 + number % 9}.5C", "pressure": f"{1000 + number}.25hPa"}
    return house.post("data", body).status == 200
