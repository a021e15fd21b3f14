"""The page of the API's documentation, in a real browser, under its own Content-Security-Policy."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.stack import Stack, StartedProcess

VIOLATIONS = """
    window.violations = [];
    addEventListener('securitypolicyviolation', e => violations.push([e.violatedDirective, e.blockedURI]));
"""
INJECT = """
    const script = document.createElement('script');
    script.textContent = 'window.injected = 1';
    document.body.append(script);
"""


@pytest.fixture(scope="module")
def web(stack: Stack) -> Iterator[StartedProcess]:
    process = stack.start("web")
    yield process
    process.kill()


def test_the_docs_page_renders_without_a_policy_violation(web: StartedProcess, page: Page) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.add_init_script(VIOLATIONS)
    page.goto(f"{web.url}/api/docs")
    invoke = page.locator("#operations-Agents-invokeAgent, .opblock").first
    expect(invoke).to_be_visible(timeout=60_000)
    invoke.click()
    expect(page.locator(".opblock-body").first).to_be_visible(timeout=60_000)
    assert page.evaluate("violations") == []
    assert [text for text in said if "Content Security Policy" in text or "Refused" in text] == []
    # An inline script without the nonce does not run.
    page.evaluate(INJECT)
    assert page.evaluate("window.injected") is None
    assert page.evaluate("violations.length") == 1


def test_the_page_retains_the_token_over_a_reload_and_filters(web: StartedProcess, page: Page) -> None:
    page.goto(f"{web.url}/api/docs")
    page.locator(".btn.authorize").first.click(timeout=60_000)
    page.locator(".modal-ux input").first.fill("my.own.token")
    page.locator(".modal-ux .btn.authorize").click()
    page.locator(".modal-ux .btn-done").click()
    page.reload()
    filter_box = page.locator(".operation-filter-input")
    expect(filter_box).to_be_visible(timeout=60_000)
    assert "my.own.token" in page.evaluate("localStorage.authorized")
    filter_box.fill("Schedules")
    expect(page.locator("#operations-Schedules-createSchedule")).to_be_visible()
    expect(page.locator("#operations-Agents-invokeAgent")).to_have_count(0)


def test_the_page_of_events_and_a_guide_render_without_a_violation(web: StartedProcess, page: Page) -> None:
    page.add_init_script(VIOLATIONS)
    for path in ("/api/docs/events", "/api/docs/guides/realtime"):
        page.goto(f"{web.url}{path}")
        expect(page.locator("h1").first).to_be_visible()
        assert page.evaluate("getComputedStyle(document.querySelector('nav a')).marginRight") == "16px"
        assert page.evaluate("violations") == []
