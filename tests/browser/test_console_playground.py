"""The playground: an agent's form, its live reply, its result, and a conversation."""

import json
from uuid import uuid4

from playwright.sync_api import Page, expect

from tests.browser.console import PHONE, WAIT, Console, axe
from tests.servers.script import Script

REPLY = "A landing page takes two weeks, a shop takes eight. " * 12


def paused(console: Console, reply: str = REPLY, words: int = 20) -> None:
    """Let the model stop after so many words, until `going_on` is set."""
    console.model.going_on.clear()
    console.model.play(Script(text=reply, hold_after=words))


def test_a_form_run_streams_a_reply_and_shows_the_result_in_both_forms(console: Console) -> None:
    page = console.signed_in("/playground")
    page.get_by_role("link", name="Chat assistant").click()
    page.get_by_role("tab", name="Single message").click()
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="Run", exact=True).click()
    message = page.get_by_role("textbox", name="Message")
    expect(message).to_have_attribute("aria-invalid", "true")
    message.fill("How long does a landing page take?")
    paused(console)
    page.get_by_role("button", name="Run", exact=True).click()
    stream = page.get_by_role("log", name="Live reply")
    expect(stream).to_contain_text("A landing page takes two weeks", timeout=WAIT)
    expect(page.get_by_role("tab", name="Reply")).to_have_count(0)
    console.model.going_on.set()
    expect(page.get_by_role("tab", name="Reply")).to_be_visible(timeout=WAIT)
    expect(page.get_by_role("tabpanel").get_by_text("a shop takes eight").last).to_be_visible()
    page.get_by_role("tab", name="JSON").click()
    expect(page.get_by_role("group", name="Result", exact=True).last).to_contain_text('reply: "A landing page')


def test_errors_found_by_the_api_are_shown(console: Console) -> None:
    page = console.signed_in("/playground/lead_agent")
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("Lead id").fill(str(uuid4()))
    page.get_by_label("Query").fill("both at once")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("form .error-text").first).to_be_visible(timeout=WAIT)


def test_the_input_can_be_edited_as_json_and_restored_from_the_history(console: Console) -> None:
    page = console.signed_in("/playground/lead_agent")
    page.get_by_role("button", name="Example 1").click()
    page.get_by_role("button", name="Edit as JSON").click()
    editor = page.get_by_label("Input as JSON")
    assert json.loads(editor.input_value())["company"] == "Northwind"
    editor.fill('{"company": "Southwind", "budget": -5}')
    expect(page.get_by_text("must be at least 0")).to_be_visible(timeout=WAIT)
    editor.fill('{"company": "Southwind", "budget": 20000}')
    page.get_by_role("button", name="Run", exact=True).click()
    entry = page.get_by_role("button", name="Southwind")
    expect(entry).to_be_visible(timeout=WAIT)
    page.get_by_role("button", name="Example 2").click()
    page.reload()
    entry.click()
    expect(page.get_by_label("Company")).to_have_value("Southwind")
    expect(page.get_by_role("tab", name="Reply")).to_be_visible(timeout=WAIT)


def test_a_reopened_run_shows_its_whole_text(console: Console) -> None:
    page = console.signed_in("/playground/content_agent")
    page.get_by_label("Topic").fill("Landing pages")
    paused(console, REPLY * 3)
    page.get_by_role("button", name="Run", exact=True).click()
    stream = page.get_by_role("log", name="Live reply")
    expect(stream).to_contain_text("a shop takes eight. A landing page takes", timeout=WAIT)
    page.reload()
    expect(stream).to_contain_text("A landing page takes two weeks, a shop", timeout=WAIT)
    assert stream.inner_text().startswith("A landing page takes two weeks, a shop takes eight.")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled").first).to_be_visible(timeout=WAIT)


def test_a_conversation_streams_its_replies_and_stores_its_messages(console: Console) -> None:
    user_id = uuid4()
    page = console.signed_in("/playground/chat_agent", user_id)
    log = page.get_by_role("log", name="Conversation")

    def say(text: str, reply: str) -> None:
        paused(console, reply, words=2)
        page.get_by_label("Message").fill(text)
        page.get_by_label("Message").press("Enter")
        expect(log.get_by_text(text)).to_be_visible(timeout=WAIT)
        expect(log).to_have_attribute("aria-busy", "true")
        console.model.going_on.set()
        expect(log).to_have_attribute("aria-busy", "false", timeout=WAIT)
        expect(log.get_by_text(reply[:20]).last).to_be_visible(timeout=WAIT)

    say("How long does it take?", "Two weeks, as a rule. " * 5)
    say("And a shop?", "Eight weeks, as a rule. " * 5)
    api = console.api(user_id)
    found = api.get("/api/conversations").json()["items"]
    assert [one["title"] for one in found] == ["How long does it take?"]
    stored = api.get(f"/api/conversations/{found[0]['conversation_id']}/messages").json()["items"]
    messages = [(one["role"], one["content"].strip()[:12]) for one in stored]
    assert messages == [
        ("assistant", "Eight weeks,"),
        ("user", "And a shop?"),
        ("assistant", "Two weeks, a"),
        ("user", "How long doe"),
    ]


def test_every_agents_form_fits_a_phone_and_passes_axe(console: Console) -> None:
    page: Page = console.signed_in("/playground", viewport=PHONE)
    agents = console.api().get("/api/agents").json()["items"]
    for agent in agents:
        page.goto(f"{console.url}/playground/{agent['agent_type']}")
        expect(page.get_by_role("heading", level=1, name=agent["title"])).to_be_visible(timeout=WAIT)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], agent["agent_type"]
        assert axe(page) == [], agent["agent_type"]
