"""A real Chromium, driven by Selenium: what it shows, asks for and complains about."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import ActionChains
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

CHROMIUM, CHROMEDRIVER = shutil.which("chromium"), shutil.which("chromedriver")
# A busy machine takes long to start a process of the browser.
WITHIN_SEC = 40.0
POLL_SEC = 0.02
# axe takes seconds for a page, and many times that on a busy machine.
SCRIPT_WITHIN_SEC = 120.0
# A browser in a container, that asks nobody but the page's server.
OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars", "--force-prefers-reduced-motion"),
)
# A page that begins with this changes only by what is done to it: no clock or event lets it ask.
STILL = "globalThis.EventSource = undefined; globalThis.setInterval = () => 0;"
T = TypeVar("T")


# Tests of a cluster make networks on this machine: a browser gives up what it was loading then.
NETWORK_CHANGED = "net::ERR_NETWORK_CHANGED"


class Browser:
    """One window; `errors` and `requests` tell of what happened since `fresh`."""

    def __init__(self, driver: webdriver.Chrome, base: str) -> None:
        self.driver = driver
        self.base = base
        self._errors: list[str] = []
        self.clicks = 0
        """How often `press` was called: what people often do takes few clicks."""

    # Where it is, and what it looks like

    def fresh(self) -> None:
        """A desk screen without cookies and without a past."""
        self.driver.get("about:blank")
        self.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        self.resize(1280, 900)
        self.errors()
        self.requests()

    @contextmanager
    def before_scripts(self, script: str) -> Iterator[None]:
        """In the block each page that is opened runs this first."""
        command = "Page.addScriptToEvaluateOnNewDocument"
        added = self.driver.execute_cdp_cmd(command, {"source": script})
        try:
            yield
        finally:
            self.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)

    def resize(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def open(self, path: str, *, charts: int | None = None) -> None:
        """Load the page and wait until its charts, if any are expected, are drawn."""
        self._gave_up()
        errors = list(self._errors)
        self.driver.get(self.base + path)
        while self._gave_up():
            # The same complaints come from the page when it is loaded again.
            self._errors = list(errors)
            self.driver.get(self.base + path)
        if charts is not None:
            self.wait(lambda: len(self.all(".chart canvas")) == charts, f"{charts} charts")

    @property
    def path(self) -> str:
        """The address without the server."""
        return self.driver.current_url.removeprefix(self.base)

    @property
    def about(self) -> str:
        """How the history says its charts are to be read, also while that is folded."""
        return self.attribute("#charts-about", "textContent")

    # What is there

    def all(self, css: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def one(self, css: str) -> WebElement:
        """The first of these elements, once there is one."""
        return self.wait(lambda: self.all(css), css)[0]

    def link(self, text: str) -> WebElement:
        """The first link with this text, once there is one."""
        return self.wait(lambda: self.driver.find_elements(By.LINK_TEXT, text), text)[0]

    def attribute(self, css: str, name: str) -> str:
        """An attribute or property that must be there."""
        found = self.wait(lambda: [self.one(css).get_attribute(name)], css)
        assert found[0] is not None, f"{css} has no {name}"
        return found[0]

    def texts(self, css: str) -> list[str]:
        """The texts of all these elements, in one step, so that nothing changes in between."""
        script = (
            "return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText.trim())"
        )
        return list(self.driver.execute_script(script, css))

    def script(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def promise(self, script: str, *arguments: object) -> Any:
        """What the promise of an expression gives; `arguments` are its arguments."""
        ended = f"const done = arguments[arguments.length - 1]; ({script}).then(done)"
        return self.driver.execute_async_script(ended, *arguments)

    def wait(self, condition: Callable[[], T], what: str) -> T:
        """The first true value of the condition.

        While another page comes, what it asks for may not be there yet, or no longer.
        """
        deadline = time.monotonic() + WITHIN_SEC
        while True:
            with suppress(WebDriverException):
                if found := condition():
                    return found
            if time.monotonic() > deadline:
                # Once more, for its error if it has one.
                found = condition()
                assert found, f"not within {WITHIN_SEC} s: {what}"
                return found
            time.sleep(POLL_SEC)

    # What is done

    def press(self, target: WebElement | str, right: int = 0, down: int = 0) -> None:
        """Click on an element, so far from its middle; a click of those that are counted."""
        element = self.one(target) if isinstance(target, str) else target
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'nearest'})", element)
        chain = ActionChains(self.driver)
        chain.move_to_element_with_offset(element, right, down).click().perform()
        self.clicks += 1

    # What happened

    def errors(self) -> list[str]:
        """What the console complained about."""
        self._gave_up()
        found, self._errors = self._errors, []
        return found

    def _gave_up(self) -> bool:
        """Whether something was not loaded since the last look because a network has changed."""
        log = self.driver.get_log("browser")
        found = [entry["message"] for entry in log if entry["level"] == "SEVERE"]
        own = [message for message in found if NETWORK_CHANGED not in message]
        self._errors += own
        return len(own) < len(found)

    def requests(self) -> list[dict[str, Any]]:
        """The messages of the network, each `{"method", "params"}` of the DevTools protocol."""
        entries = self.driver.get_log("performance")
        return [json.loads(entry["message"])["message"] for entry in entries]


@contextmanager
def chromium(folder: Path, base: str, *, scripts: bool = True) -> Iterator[Browser]:
    """A browser whose profile is in the folder; it is ended with the block."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for option in (*OPTIONS, f"--user-data-dir={folder}"):
        options.add_argument(option)
    if not scripts:
        blocked = {"profile.managed_default_content_settings.javascript": 2}
        options.add_experimental_option("prefs", blocked)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Driver(str(CHROMEDRIVER)))
    driver.set_script_timeout(SCRIPT_WITHIN_SEC)
    # Tests break the page's own line to the service, and weigh what comes over it.
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd("Network.setBypassServiceWorker", {"bypass": True})
    try:
        yield Browser(driver, base)
    finally:
        driver.quit()
