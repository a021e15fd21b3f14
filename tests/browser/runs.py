"""Runs that the console shows, and the parts of a run's page."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browser.console import WAIT
from tests.integration.http import Api
from tests.servers.script import Script

#: With characters of one, two and four bytes, and HTML special characters.
PIECES = [f"{number} <b>né</b> 🌼 & " for number in range(40)]
TEXT = "".join(PIECES)
SLOW = Script(pieces=PIECES, delay=0.15, hang_after=len(PIECES))
REVIEW = {
    "description": "A text, and somebody's decision about it.",
    "inputs": {"type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"]},
    "steps": [
        {"key": "draft", "agent": "content_agent", "input": {"topic": "inputs.topic"}},
        {
            "key": "decide",
            "kind": "approval",
            "needs": ["draft"],
            "message": "join('', ['Publish the text about ', inputs.topic, '?'])",
        },
        {"key": "note", "agent": "chat_agent", "needs": ["decide"], "input": {"message": "outputs.decide.comment"}},
    ],
}


def chat(api: Api, message: str = "How long does a landing page take?", **more: Any) -> str:
    response = api.invoke({"agent_type": "chat_agent", "input": {"message": message}, **more})
    assert response.status_code == 200, response.text
    return str(response.json()["request_id"])


def review(api: Api, topic: str, workflow_id: str = "console_review") -> str:
    body = {"workflow_id": workflow_id, "inputs": {"topic": topic}, "async": True}
    response = api.request("POST", "/api/agents/workflows/execute", json=body)
    assert response.status_code == 200, response.text
    return str(response.json()["workflow_run_id"])


def live(page: Page) -> Locator:
    return page.get_by_role("log", name="Live text")


def streams(page: Page) -> str:
    """Return the text shown now, which must be a non-empty prefix of the whole."""
    expect(live(page)).not_to_be_empty(timeout=WAIT)
    text = live(page).text_content() or ""
    assert TEXT.startswith(text)
    return text


def badge(page: Page, status: str) -> Locator:
    return page.locator(".heading").get_by_text(status, exact=True)


def decided(api: Api, run_id: str) -> Callable[[], Any]:
    """Return the run, once it has ended."""

    def read() -> Any:
        run = api.get(f"/api/agents/workflows/runs/{run_id}").json()
        return run if run["finished_at"] else None

    return read
