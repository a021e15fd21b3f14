"""A real Chromium, and pages of real origins."""

import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.chromium import launched, program
from tests.browser.console import WAIT, Console, started_console
from tests.stack import Stack


class _Blank(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<!doctype html><title>page</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Not of interest."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = program()
    if path is None:
        reason = "no Chromium on this machine: install Debian's package chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = launched(playwright, path)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def pages() -> Iterator[int]:
    """The port of a server of empty pages."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Blank)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join(60)


@pytest.fixture
def page(browser: Browser, pages: int) -> Iterator[Page]:
    """A page of an origin that the local stack allows."""
    page = browser.new_page()
    page.set_default_timeout(WAIT)
    page.goto(f"http://localhost:{pages}/")
    yield page
    page.close()


@pytest.fixture(scope="module")
def _console(stack: Stack, browser: Browser) -> Iterator[Console]:
    with started_console(stack, browser) as console:
        yield console


@pytest.fixture
def console(_console: Console) -> Iterator[Console]:
    """The console. Each page that a test opens is closed after it, without policy violations or foreign requests."""
    yield _console
    try:
        _console.check()
    finally:
        _console.model.reset()
        _console.close_pages()
