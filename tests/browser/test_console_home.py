"""The console's first screen: trying an agent, health, waiting approvals, and lines to paste."""

from uuid import uuid4

from playwright.sync_api import expect

from tests.browser.console import Console
from tests.integration.http import CHAT

#: The label says it for a second and a half, which a busy browser may not draw.
CLICK_UNTIL_COPIED = """
button => new Promise(copied => {
  new MutationObserver(() => button.ariaLabel === 'Copied' && copied()).observe(button, { attributes: true })
  button.click()
})
"""


def test_an_example_runs_by_one_click_and_shows_its_reply(console: Console) -> None:
    page = console.signed_in("/")
    card = page.get_by_role("region", name="Try an agent")
    expect(card.get_by_label("Example input")).to_contain_text("Northwind")
    card.get_by_role("button", name="Run the example").click()
    expect(card.get_by_role("tab", name="Reply")).to_be_visible()
    expect(card.get_by_role("tabpanel")).to_contain_text("Score")


def test_it_shows_each_part_and_the_runs_of_the_last_hour(console: Console) -> None:
    user_id = uuid4()
    console.api(user_id).invoke(CHAT)
    page = console.signed_in("/", user_id)
    health = page.get_by_role("region", name="Health")
    for part in ("Web", "Database", "Redis", "Workers", "Beat", "Ollama", "HuggingFace", "Rules", "Stripe"):
        expect(health.locator(".part-name", has_text=part)).to_be_visible()
    expect(health).to_contain_text("version 0.12.3")
    runs = page.get_by_role("region", name="Your runs")
    expect(runs.locator(".figure", has_text="In 60 minutes").locator(".value")).to_have_text("1")
    expect(page.get_by_role("region", name="Waiting for you")).to_contain_text("Nothing waits")


def test_a_copied_line_holds_the_token_that_the_screen_does_not_show(console: Console) -> None:
    page = console.signed_in("/")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    lines = page.get_by_role("region", name="Call it from your code")
    for name, wanted in {
        "curl": f'curl -s "{console.url}/api/agents/invoke"',
        "JavaScript": "await fetch(",
        "Python": "from pixelbloom.client import ApiClient",
        "Vite": f"VITE_API_URL={console.url}",
    }.items():
        lines.get_by_role("tab", name=name).click()
        expect(lines.get_by_role("group", name="Code")).to_contain_text(wanted)
        assert "eyJ" not in lines.get_by_role("group", name="Code").inner_text() or name == "Vite"
        lines.get_by_role("button", name="Copy").evaluate(CLICK_UNTIL_COPIED)
        copied = page.evaluate("navigator.clipboard.readText()")
        assert wanted in copied
        assert ("eyJ" in copied) is True
