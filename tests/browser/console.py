"""The console in a real browser, on the real stack: signed-in pages, and checks of each of them."""

import fcntl
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from playwright.sync_api import Browser, Page, expect

from pixelbloom.auth.mint import mint_user
from pixelbloom.local.supabase import demo
from tests import ROOT
from tests.integration.http import Api
from tests.servers.ollama import OllamaServer
from tests.stack import Stack, StartedProcess, stop_all

DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
#: Of an expectation, in milliseconds: much longer than anything takes on a busy machine.
WAIT = 60_000
expect.set_options(timeout=WAIT)
SESSION_SECONDS = 3600
#: A session as the console stores it, unless the page has one already.
SIGNED_IN = "sessionStorage.getItem('pixelbloom.session') ?? sessionStorage.setItem('pixelbloom.session', %s)"
#: The web process is the last one.
ROLES = ("agents", "events", "maintenance", "beat", "web")
VIOLATIONS = """
    window.violations = [];
    addEventListener('securitypolicyviolation', e => violations.push([e.violatedDirective, e.blockedURI]));
"""


def build() -> None:
    """Build the console if its sources have changed. Test processes run concurrently."""
    _make("console")


@cache
def axe_script() -> str:
    """axe-core, which is installed with the tools for the console's checks."""
    _make(".venv/.console-dev")
    return (ROOT / "console" / "node_modules" / "axe-core" / "axe.min.js").read_text()


def _make(target: str) -> None:
    with (ROOT / "console" / "package.json").open() as shared:
        fcntl.flock(shared, fcntl.LOCK_EX)
        done = subprocess.run(["make", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


@dataclass
class Console:
    """The console of a running stack. `model` is its Ollama, which replies slowly enough to be watched."""

    stack: Stack
    browser: Browser
    model: OllamaServer
    processes: list[StartedProcess]
    #: What its processes were started with, beyond the stack's own.
    env: dict[str, str] = field(default_factory=dict)
    opened: list[Page] = field(default_factory=list)
    #: Of all pages: requests to other servers than the API and Supabase, and error messages of the browser.
    foreign: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def web(self) -> StartedProcess:
        return self.processes[-1]

    @property
    def url(self) -> str:
        return self.web.url

    def kill_web(self) -> Callable[[], None]:
        """Kill the web process. Returns a function that restarts it at the same address."""
        port = self.web.port
        self.web.kill()

        def start() -> None:
            self.processes[-1] = self.stack.start("web", env=self.env, port=port)

        return start

    def api(self, user_id: UUID | None = None, **options: object) -> Api:
        """The API as the user of a page sees it."""
        return Api(self.url, None, self.stack.settings).as_user(user_id, **options)

    def page(self, path: str | None = "/", *, viewport: dict[str, int] | None = None, dark: bool = False) -> Page:
        """A page that is not signed in, in a browser profile of its own."""
        page = self.browser.new_page(
            viewport=viewport or DESKTOP,  # type: ignore[arg-type]
            color_scheme="dark" if dark else "light",
            locale="en-US",
        )
        page.set_default_timeout(WAIT)
        page.add_init_script(VIOLATIONS)
        page.on("request", lambda request: self._requested(request.url))
        page.on("websocket", lambda socket: self._requested(socket.url))
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("console", lambda message: self._said(message.text))
        self.opened.append(page)
        if path is not None:
            page.goto(self.url + path)
        return page

    def signed_in(
        self,
        path: str = "/",
        user_id: UUID | None = None,
        *,
        admin: bool = False,
        token: str | None = None,
        **look: object,
    ) -> Page:
        """A page that is signed in as a user, by a token that cannot be refreshed."""
        page = self.page(None, **look)  # type: ignore[arg-type]
        found = token or mint_user(self.stack.settings, user_id or uuid4(), admin=admin, expires_in=SESSION_SECONDS)
        session = {
            "access_token": found,
            "refresh_token": None,
            "expires_at": int(time.time()) + SESSION_SECONDS,
            "email": "admin@example.com" if admin else "user@example.com",
        }
        page.add_init_script(SIGNED_IN % json.dumps(json.dumps(session)))
        page.goto(self.url + path)
        return page

    def check(self) -> None:
        """Check every page: no request elsewhere, no violation of the policy, no error in a script."""
        for page in self.opened:
            if not page.is_closed() and page.url.startswith(self.url):
                assert page.evaluate("window.violations") == []
        assert self.foreign == []
        assert self.complaints == []

    def close_pages(self) -> None:
        for page in self.opened:
            page.close()
        self.opened.clear()
        self.foreign.clear()
        self.complaints.clear()

    def _requested(self, url: str) -> None:
        parts = urlsplit(url)
        own = {urlsplit(str(found)).netloc for found in (self.url, self.stack.settings.supabase_url)}
        if parts.scheme not in ("data", "blob") and parts.netloc not in own:
            self.foreign.append(url)

    def _said(self, text: str) -> None:
        if "Content Security Policy" in text or "Uncaught" in text:
            self.complaints.append(text)


@contextmanager
def started_console(stack: Stack, browser: Browser, **env: str) -> Iterator[Console]:
    """The console of a stack with all its processes but Flower. `env` reaches them."""
    build()
    demo.ensure(stack.home, stack.database_url)
    with OllamaServer(delay=0.03) as model:
        values = {
            "OLLAMA_HOST": model.url,
            "MODEL_TIMEOUT": "600",  # texts are written slowly here, or held
            "PIXELBLOOM_DEMO_ACCOUNTS": str(stack.home.accounts_file),
            **env,
        }
        # The threads stay: the kernel ends a process with the thread that started it.
        with ThreadPoolExecutor() as pool:
            started = list(pool.map(lambda role: stack.start(role, env=values), ROLES))
            console = Console(stack, browser, model, started, values)
            try:
                yield console
            finally:
                console.close_pages()
                stop_all(console.processes)


def heading(page: Page) -> None:
    expect(page.locator("main#main h1").first).to_be_visible(timeout=WAIT)


def axe(page: Page) -> list[str]:
    """The violations that axe-core finds, each with its first place."""
    page.evaluate(axe_script())
    found = page.evaluate("axe.run()")
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found["violations"]]
