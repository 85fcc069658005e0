"""What a real browser sends for a page of somebody else, and for people with a token."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service as Driver

from tests.e2e.conftest import MakeService

CHROMIUM, CHROMEDRIVER = shutil.which("chromium"), shutil.which("chromedriver")
# Every name leads to this machine. Over HTTP the browser trusts none of these, as at home: it sends
# no Sec-Fetch-Site. It trusts `localhost`, and sends it there.
OURS, TRUSTED, FOREIGN = "raspberrypi.local", "localhost", "evil.example"
READ = "read-0123456789abcdef"
SEND = """
const [url, done] = arguments, text = '{"pressure": 1013.25, "temperature": 25.1}';
const blob = new Blob([text]), plain = {"Content-Type": "text/plain"};
const json = {"Content-Type": "application/json"}, post = {method: "POST", body: text};
const form = document.createElement("form"), field = document.createElement("input");
const frame = document.createElement("iframe");
frame.name = form.target = "frame";
Object.assign(form, {method: "post", action: url, enctype: "text/plain"});
field.name = '{"temperature": 25.1, "pressure": 1013.25, "x": "';
field.value = '"}';
form.append(field);
document.body.append(frame, form);
const nothing = () => null;
const bare = {method: "POST", body: blob, mode: "no-cors"};
Promise.all([
  fetch(url, bare).catch(nothing),
  fetch(url, {...bare, referrerPolicy: "no-referrer"}).catch(nothing),
  fetch(url, {...bare, keepalive: true}).catch(nothing),
  fetch(url, {...post, headers: plain, mode: "no-cors"}).catch(nothing),
  fetch(url, {...post, headers: json}).catch(nothing),
  new Promise((loaded) => { frame.onload = loaded; form.submit(); }),
]).then(() => done(navigator.sendBeacon(url, blob)));
"""
READ_ACROSS = """
const [url, done] = arguments;
fetch(url).then((answer) => answer.text()).then(done, (error) => done(error.name));
"""
STATUS = """
const [credentials, done] = arguments;
fetch("/history/json", {credentials}).then((answer) => done(answer.status));
"""

pytestmark = [
    pytest.mark.skipif(
        not (CHROMIUM and CHROMEDRIVER),
        reason="there is no browser: apt install chromium chromium-driver",
    ),
    pytest.mark.tools,
]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for argument in (
        *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"),
        *("--no-first-run", f"--user-data-dir={tmp_path / 'profile'}"),
        f"--host-resolver-rules=MAP {OURS} 127.0.0.1,MAP {FOREIGN} 127.0.0.1",
    ):
        options.add_argument(argument)
    browser = Chrome(options, Driver(CHROMEDRIVER))
    browser.set_script_timeout(30)
    yield browser
    browser.quit()


class Page(BaseHTTPRequestHandler):
    """An empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>evil</title><body></body>")

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def foreign_page() -> Iterator[str]:
    """The address of a page of another origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, name="foreign page")
        thread.start()
        yield f"http://{FOREIGN}:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", [OURS, pytest.param(TRUSTED, marks=pytest.mark.long)])
def test_a_foreign_page_posts_and_reads_nothing(
    service: MakeService, browser: Chrome, name: str
) -> None:
    running = service(commit_interval_sec=0, partial_readings="accept")
    url = f"http://{name}:{running.port}"
    with foreign_page() as page:
        browser.get(page)
        assert browser.execute_async_script(SEND, f"{url}/data") is True
        assert browser.execute_async_script(READ_ACROSS, f"{url}/history/json") == "TypeError"
    running.wait_for_line("/data refused: posted by another origin")
    # Whatever was let in is stored by now: a good reading comes after it.
    assert running.post("data", {"pressure": 1, "temperature": 2}).status == 200
    running.stop()
    assert running.rows("SELECT pressure FROM readings") == [(1.0,)]
    assert running.rows("SELECT count(*) FROM rejected") == [(0,)]


def test_a_person_reads_with_a_token_as_the_password(
    service: MakeService, browser: Chrome, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"* {READ}\n")
    tokens.chmod(0o600)
    running = service(read_tokens_file=tokens, allowed_hosts=OURS)
    address = f"{OURS}:{running.port}"
    # What a person types into the browser's question can be given in the address as well.
    browser.get(f"http://:{READ}@{address}/history")
    browser.get(f"http://{address}/history")
    assert browser.find_element("css selector", "table, .empty")
    # What the scripts of the page ask for comes with the token.
    assert browser.execute_async_script(STATUS, "same-origin") == 200
    assert browser.execute_async_script(STATUS, "omit") == 401
    browser.get(f"http://{FOREIGN}:{running.port}/history")
    assert "unknown host" in browser.page_source
