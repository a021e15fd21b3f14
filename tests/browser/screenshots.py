"""Pictures of every screen of the console, with a demo agency's rows and work in progress.

`make screenshots`, or `python -m tests.browser.screenshots FOLDER`. Each screen is saved light, dark and on a phone.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from playwright.sync_api import Page, expect, sync_playwright

from pixelbloom.config import DEVELOPMENT_USER
from pixelbloom.local.seed import fill
from pixelbloom.local.seed.plan import Plan
from tests.browser.chromium import launched, program
from tests.browser.console import DESKTOP, PHONE, WAIT, Console, started_console
from tests.integration.http import Api
from tests.servers.script import Script
from tests.stack import Stack, started_stack

REPLY = (
    "A landing page for the spring campaign usually takes **two to three weeks**:\n\n"
    "- a day for the offer and its audience\n- four days for design and copy\n- a week to build and test it\n\n"
    "We could begin on Monday. Should it also take bookings, or is a form enough?"
)
REVIEW = {
    "workflow_id": "campaign_review",
    "description": "Research an offer, write two texts about it, and publish after a decision.",
    "inputs": {"type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"]},
    "steps": [
        {"key": "brief", "agent": "content_agent", "input": {"topic": "inputs.topic"}},
        {"key": "article", "agent": "content_agent", "needs": ["brief"], "input": {"topic": "inputs.topic"}},
        {"key": "newsletter", "agent": "content_agent", "needs": ["brief"], "input": {"topic": "inputs.topic"}},
        {
            "key": "decide",
            "kind": "approval",
            "needs": ["article", "newsletter"],
            "message": "join('', ['Publish the campaign about ', inputs.topic, '?'])",
        },
        {"key": "announce", "agent": "chat_agent", "needs": ["decide"], "input": {"message": "inputs.topic"}},
    ],
}
TEXT = "# Spring, and what to plant\n\nThree beds, twelve weeks and a plan that fits on one page. " * 3


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with started_stack("pb-screenshots-") as stack, sync_playwright() as playwright:
        browser = launched(playwright, program())
        with started_console(stack, browser) as console:
            stack.start("webhooks", env=console.env)
            seed(stack)
            with work(console) as screens:
                for name, path in screens.items():
                    shoot(console, folder, name, path)
        browser.close()


def seed(stack: Stack) -> None:
    with psycopg.connect(stack.database_url) as connection:
        fill.demo(connection, Plan(1, datetime.now(UTC).date(), DEVELOPMENT_USER))


@contextmanager
def work(console: Console) -> Iterator[dict[str, str]]:
    """The addresses of all screens, while one run waits for a decision and another one's text is streaming."""
    service, user = console.api().as_service(), console.api(DEVELOPMENT_USER)
    request(service, "/api/agents/workflows", REVIEW, 201)
    console.model.play(Script(text=TEXT, delay=0))
    every_hour = {"agent_type": "recommendation_agent", "input": {"goals": ["more leads"]}, "cron": "0 * * * *"}
    request(user, "/api/agents/schedules", every_hour, 201)
    inputs = {"workflow_id": "campaign_review", "inputs": {"topic": "spring gardens"}, "async": True}
    waiting = request(user, "/api/agents/workflows/execute", inputs)["workflow_run_id"]
    console.stack.wait_for(lambda: user.get("/api/agents/approvals").json()["items"])
    pieces = [f"{word} " for word in REPLY.split(" ")]
    console.model.play(Script(pieces=pieces, delay=0, hang_after=len(pieces) - 12))
    chat = {"agent_type": "chat_agent", "input": {"message": "How long does a landing page for spring take?"}}
    streaming = request(user, "/api/agents/invoke", chat)["request_id"]
    lead = user.get("/api/leads?limit=1&min_score=70").json()["items"][0]["id"]
    talk = user.get("/api/conversations?limit=1").json()["items"][0]["id"]
    yield {
        "home": "/",
        "playground": "/playground/lead_agent",
        "runs": "/runs",
        "run": f"/runs/{streaming}",
        "workflow-run": f"/runs/{waiting}",
        "approvals": "/approvals",
        "workflows": "/workflows",
        "workflow": "/workflows/campaign_review",
        "workflow-editor": "/workflows/campaign_review/edit",
        "schedules": "/schedules",
        "failures": "/failures",
        "dashboard": "/dashboard",
        "leads": "/leads",
        "lead": f"/leads/{lead}",
        "conversations": "/conversations",
        "conversation": f"/conversations/{talk}",
        "notifications": "/notifications",
        "billing": "/billing",
    }
    user.request("POST", f"/api/agents/runs/{streaming}/cancel")


def request(api: Api, path: str, body: dict[str, object], status: int = 200) -> dict[str, str]:
    response = api.request("POST", path, json=body)
    assert response.status_code == status, response.text
    found: dict[str, str] = response.json()
    return found


def shoot(console: Console, folder: Path, name: str, path: str) -> None:
    """One screen, in each of its looks."""
    looks = {"": (DESKTOP, False), "-dark": (DESKTOP, True), "-phone": (PHONE, False)}
    for suffix, (viewport, dark) in looks.items():
        admin = name in ("failures", "workflow-editor", "dashboard")
        page = console.signed_in(path, DEVELOPMENT_USER, admin=admin, viewport=viewport, dark=dark)
        wait_until_stable(page)
        page.screenshot(path=folder / f"{name}{suffix}.png", full_page=bool(suffix == "-phone"))
        page.close()
        console.opened.clear()


def wait_until_stable(page: Page) -> None:
    expect(page.locator("main#main h1").first).to_be_visible(timeout=WAIT)
    expect(page.get_by_label("Loading")).to_have_count(0, timeout=WAIT)
    page.wait_for_load_state("networkidle")
    page.evaluate("document.fonts.ready")


if __name__ == "__main__":
    main()
