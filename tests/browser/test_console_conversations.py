"""Conversations in the console: a live reply, messages of others, and closing one."""

import re
from uuid import uuid4

import httpx
from playwright.sync_api import Page, expect

from tests.browser.console import WAIT, Console
from tests.integration.http import Api
from tests.servers.script import Script

QUESTION = "How long does a landing page take?"


def begin(api: Api, title: str | None = None) -> str:
    made = api.request("POST", "/api/conversations", json={"title": title})
    assert made.status_code == 201, made.text
    return str(made.json()["conversation_id"])


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def test_a_reply_streams_into_the_transcript(console: Console) -> None:
    user_id = uuid4()
    page = console.signed_in("/conversations", user_id)
    page.get_by_role("button", name="New conversation").click()
    said = page.get_by_role("list", name="Transcript").get_by_role("listitem")
    console.model.play(Script(hold_after=4))
    say(page, QUESTION)
    expect(said.first).to_contain_text(QUESTION, timeout=WAIT)
    writing = page.locator(".said-text[aria-busy=true]")
    expect(writing).to_contain_text(re.compile(r"\w+ \w+"), timeout=WAIT)
    begun = writing.inner_text().strip(".…")
    # Opened late, on another page, the reply is complete.
    other = console.signed_in(page.url.replace(console.url, ""), user_id)
    console.model.going_on.set()
    for one in (page, other):
        expect(one.locator(".said-text[aria-busy=true]")).to_have_count(0, timeout=WAIT)
        reply = one.get_by_role("list", name="Transcript").locator(".said.assistant")
        expect(reply).to_have_count(1, timeout=WAIT)
        expect(reply.get_by_role("link", name="Run")).to_be_visible(timeout=WAIT)
    conversation = page.url.replace(f"{console.url}/", "/api/")
    stored = console.api(user_id).get(conversation).json()["messages"]
    assert [message["role"] for message in stored] == ["user", "assistant"]
    assert stored[1]["content"].startswith(begun[:20])


def test_a_message_from_another_client_appears(console: Console) -> None:
    user_id = uuid4()
    api = console.api(user_id)
    conversation_id = begin(api, "Prices")
    page = console.signed_in(f"/conversations/{conversation_id}", user_id)
    expect(page.get_by_role("heading", name="Nothing was said yet")).to_be_visible(timeout=WAIT)
    sent = api.request("POST", f"/api/conversations/{conversation_id}/messages", json={"content": QUESTION})
    assert sent.status_code in (200, 201), sent.text
    expect(page.locator(".said.user")).to_contain_text(QUESTION, timeout=WAIT)
    expect(page.locator(".said.assistant").get_by_role("link", name="Run")).to_be_visible(timeout=WAIT)


def test_conversations_are_found_renamed_closed_and_deleted(console: Console) -> None:
    user_id = uuid4()
    api = console.api(user_id)
    begin(api, "About prices")
    begin(api, "About time")
    page = console.signed_in("/conversations", user_id)
    rows = page.get_by_role("table", name="Conversations").locator("tbody tr")
    expect(rows).to_have_count(2, timeout=WAIT)
    page.get_by_label("Search").fill("prices")
    expect(rows).to_have_count(1, timeout=WAIT)
    assert "q=prices" in page.url
    page.get_by_role("link", name="About prices").click()
    page.get_by_role("button", name="Rename").click()
    page.get_by_role("dialog").get_by_label("Title").fill("About money")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1, name="About money")).to_be_visible(timeout=WAIT)
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.get_by_text("This conversation is closed")).to_be_visible(timeout=WAIT)
    expect(page.get_by_label("Message", exact=True)).to_have_count(0)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(rows).to_have_count(1, timeout=WAIT)
    expect(rows).to_contain_text("About time")


def test_administrators_read_visitors_messages_and_cannot_write_for_them(console: Console) -> None:
    session = httpx.post(f"{console.url}/api/visitors/sessions", timeout=60, trust_env=False)
    visitor = Api(console.url, session.json()["token"], console.stack.settings)
    conversation_id = begin(visitor, "From the website")
    page = console.signed_in(f"/conversations/{conversation_id}", admin=True)
    expect(page.get_by_text("Only its visitor can speak here")).to_be_visible(timeout=WAIT)
    visitor.request("POST", f"/api/conversations/{conversation_id}/messages", json={"content": QUESTION})
    expect(page.locator(".said.user")).to_contain_text(QUESTION, timeout=WAIT)
    expect(page.locator(".said.assistant").get_by_role("link", name="Run")).to_be_visible(timeout=WAIT)
