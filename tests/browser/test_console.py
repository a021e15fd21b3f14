"""The console's frame: signing in, its screens on all sizes, and its policy."""

import json
import re
from collections.abc import Iterator

import psycopg
import pytest
from playwright.sync_api import expect

from pixelbloom.auth.mint import mint_user
from pixelbloom.config import DEVELOPMENT_USER
from pixelbloom.local.supabase import demo
from tests.browser.console import DESKTOP, PHONE, ROOT, WAIT, Console, axe, build, heading
from tests.stack import Stack
from tests.waiting import until

SCREENS = (
    *("/", "/playground", "/runs", "/approvals", "/workflows", "/schedules", "/failures", "/dashboard"),
    *("/workflows/lead_intake", "/workflows/lead_intake/edit", "/failures?tab=webhooks", "/failures?tab=stripe"),
    *("/leads", "/conversations", "/notifications", "/billing"),
)
FAILED_ROWS = """
with run as (
    insert into runs (id, kind, agent_type, user_id, caller, user_queue, input, status, error, error_code, finished_at)
    values (
        '00000000-0000-4000-8000-00000000fa11', 'agent', 'chat_agent', gen_random_uuid(), 'user:x', 'x',
        '{"message": "Hello"}', 'failed', 'The model was too slow.', 'TIMEOUT', now()
    ) returning id, user_id
), delivery as (
    insert into webhook_deliveries (run_id, user_id, url, event, status, attempts, finished_at)
    select id, user_id, 'http://127.0.0.1:9/' || repeat('hook', 50), 'run.failed', 'failed', 12, now() from run
)
insert into stripe_events (id, type, payload, occurred_at, status, attempts, error)
values ('evt_wide', 'invoice.paid', '{"id": "evt_wide"}', now(), 'failed', 12, 'No such invoice')
"""


@pytest.mark.parametrize("who", ["user", "administrator"])
def test_one_click_signs_in_as_a_demo_account(console: Console, who: str) -> None:
    page = console.page("/leads")
    page.get_by_role("button", name=f"Continue as demo {who}").click()
    expect(page.get_by_role("heading", level=1, name="Leads")).to_be_visible(timeout=WAIT)
    assert page.url == f"{console.url}/leads"
    expect(page.get_by_text("Administrator", exact=True)).to_have_count(1 if who == "administrator" else 0)
    page.reload()
    expect(page.get_by_role("heading", level=1, name="Leads")).to_be_visible(timeout=WAIT)


def test_a_password_signs_in_after_an_incorrect_one_and_signing_out_ends_the_session(console: Console) -> None:
    login = demo.ensure(console.stack.home, console.stack.database_url)[0]
    page = console.page()
    page.get_by_label("E-mail").fill(login.email)
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text("The e-mail address or the password is incorrect.", timeout=WAIT)
    page.get_by_label("Password").fill(login.password or "")
    page.get_by_role("button", name="Sign in", exact=True).click()
    heading(page)
    page.get_by_role("button", name="Account").click()
    expect(page.get_by_text(str(DEVELOPMENT_USER))).to_be_visible(timeout=WAIT)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=WAIT)
    assert page.evaluate("sessionStorage.length") == 0


def test_a_pasted_token_signs_in(console: Console) -> None:
    page = console.page("/runs")
    page.get_by_text("Use a token").click()
    page.get_by_label("Access token").fill("no token")
    page.get_by_role("button", name="Use this token").click()
    expect(page.get_by_role("alert")).to_contain_text("This is no token", timeout=WAIT)
    page.get_by_label("Access token").fill(mint_user(console.stack.settings, DEVELOPMENT_USER))
    page.get_by_role("button", name="Use this token").click()
    expect(page.get_by_role("heading", level=1, name="Runs")).to_be_visible(timeout=WAIT)


def test_a_refused_token_opens_the_sign_in_dialog_over_the_page(console: Console) -> None:
    page = console.signed_in("/leads")
    heading(page)
    page.evaluate(
        """() => {
            const stored = JSON.parse(sessionStorage.getItem('pixelbloom.session'))
            stored.access_token = stored.access_token.slice(0, -6) + 'AAAAAA'
            sessionStorage.setItem('pixelbloom.session', JSON.stringify(stored))
        }"""
    )
    page.reload()
    dialog = page.get_by_role("dialog", name="Your session has expired")
    expect(dialog).to_be_visible(timeout=WAIT)
    expect(page.locator("main#main h1")).to_have_text("Leads")
    dialog.get_by_role("button", name="Continue as demo user").click()
    expect(dialog).to_have_count(0, timeout=WAIT)
    expect(page.locator("main").get_by_role("alert")).to_have_count(0)
    assert page.url == f"{console.url}/leads"


@pytest.fixture(scope="module")
def rows(stack: Stack) -> Iterator[None]:
    """A package with texts without blanks to wrap at, and a failed run whose webhook and Stripe event failed too."""
    with psycopg.connect(stack.database_url, autocommit=True) as db:
        row = db.execute(
            "insert into pricing_packages (name, price, currency, features) values (%s, 123456789.12, 'usd', %s)"
            " returning id",
            ["Wide" * 25, json.dumps(["feature" * 15])],
        ).fetchone()
        db.execute(FAILED_ROWS)
        yield
        db.execute("delete from pricing_packages where id = %s", row)
        db.execute("delete from stripe_events where id = 'evt_wide'")
        db.execute("delete from runs where id = '00000000-0000-4000-8000-00000000fa11'")


@pytest.mark.parametrize(
    ("size", "dark"),
    [
        pytest.param(DESKTOP, False, id="light-desktop"),
        pytest.param(PHONE, True, id="dark-phone"),
        pytest.param(DESKTOP, True, id="dark-desktop", marks=pytest.mark.slow),
        pytest.param(PHONE, False, id="light-phone", marks=pytest.mark.slow),
    ],
)
def test_every_screen_fits_and_passes_axe(console: Console, rows: None, size: dict[str, int], dark: bool) -> None:
    page = console.signed_in("/", admin=True, viewport=size, dark=dark)
    for path in SCREENS:
        page.goto(console.url + path)
        heading(page)
        expect(page.get_by_label("Loading")).to_have_count(0, timeout=WAIT)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= size["width"], f"{path} is {wide} px wide"
        assert axe(page) == [], path


def test_the_sign_in_page_fits_and_passes_axe(console: Console) -> None:
    page = console.page("/", viewport=PHONE)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=WAIT)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert axe(page) == []


def test_the_keyboard_reaches_the_content_and_the_menu_of_a_phone(console: Console) -> None:
    page = console.signed_in("/runs")
    heading(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Leads").click()
    expect(page.get_by_role("heading", level=1, name="Leads")).to_be_focused(timeout=WAIT)

    phone = console.signed_in("/runs", viewport=PHONE)
    heading(phone)
    menu = phone.get_by_role("navigation", name="Main")
    expect(menu).not_to_be_visible()
    phone.get_by_role("button", name="Menu", exact=True).press("Enter")
    expect(menu).to_be_visible()
    menu.get_by_role("link", name="Leads").click()
    expect(phone.locator("main#main h1")).to_have_text("Leads", timeout=WAIT)
    expect(menu).not_to_be_visible()


def test_the_theme_is_chosen_and_remembered(console: Console) -> None:
    page = console.signed_in("/")
    heading(page)
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Light or dark").click()
    until(lambda: page.evaluate(ground) != light)
    page.reload()
    heading(page)
    until(lambda: page.evaluate(ground) != light)


def test_an_unknown_address_shows_that_there_is_no_such_page(console: Console) -> None:
    page = console.signed_in("/runs/x/y")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible(timeout=WAIT)


def test_inline_code_does_not_run(console: Console) -> None:
    page = console.page()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=WAIT)
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'injected = 1'}))"
    )
    assert page.evaluate("window.injected") is None
    assert page.evaluate("violations.splice(0).length") == 1
    console.complaints.clear()


def test_the_browser_loads_only_own_files() -> None:
    """The built files have no address of another server, except namespaces and links of libraries."""
    build()
    built = ROOT / "pixelbloom" / "web" / "console" / "static"
    page = (built / "index.html").read_text()
    assert re.findall(r"(?:src|href)=\"(?!/assets/)[^\"]*\"", page) == []
    assert "<style" not in page
    assert re.findall(r"<script(?![^>]*src=)", page) == []
    css = "".join(path.read_text() for path in built.rglob("*.css"))
    assert "url(http" not in css
