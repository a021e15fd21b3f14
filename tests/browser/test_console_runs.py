"""The runs in the console: the list, one run live, its actions, and approvals."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, WebSocketRoute, expect

from pixelbloom.auth.mint import mint_user
from pixelbloom.config import DEVELOPMENT_USER
from tests.browser.console import PHONE, WAIT, Console, axe, heading, started_console
from tests.browser.runs import REVIEW, SLOW, TEXT, badge, chat, decided, live, review, streams
from tests.servers.script import Script
from tests.stack import Stack
from tests.waiting import until


@pytest.fixture(scope="module")
def _console(stack: Stack, browser: Browser) -> Iterator[Console]:
    """Models may be slow: paused text must not be discarded for another provider's."""
    with started_console(stack, browser) as console:
        service = console.api().as_service()
        for workflow_id, approvers in (("console_review", "owner"), ("console_admin_review", "admin")):
            steps = [{**step, **({"approvers": approvers} if "kind" in step else {})} for step in REVIEW["steps"]]
            response = service.request(
                "POST", "/api/agents/workflows", json={**REVIEW, "workflow_id": workflow_id, "steps": steps}
            )
            assert response.status_code == 201, response.text
        yield console


@pytest.fixture(autouse=True)
def _fresh_model(console: Console) -> Iterator[None]:
    """Reset the model's scripts between tests."""
    yield
    console.model.reset()


def test_text_is_exact_while_it_streams_when_opened_late_and_after_lost_connections(console: Console) -> None:
    user_id = uuid4()
    api = console.api(user_id)
    console.model.play(SLOW)
    run_id = chat(api)
    sockets: list[WebSocketRoute] = []

    def connected(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    early = console.signed_in("/", user_id)
    early.route_web_socket(re.compile("/api/ws/workflows"), connected)
    early.goto(f"{console.url}/runs/{run_id}")
    streams(early)
    late = console.signed_in(f"/runs/{run_id}", user_id)
    streams(late)
    for _ in range(2):
        before = len(sockets)
        sockets[-1].close(code=1012)
        until(lambda: len(sockets) > before, sleep=early.wait_for_timeout, saw=lambda: live(early).text_content())  # noqa: B023
        streams(early)
    for page in (early, late):
        expect(live(page)).to_have_text(TEXT, use_inner_text=False, timeout=WAIT)
        assert live(page).text_content() == TEXT
    last = console.signed_in(f"/runs/{run_id}", user_id)
    streams(last)
    assert live(last).text_content() == TEXT
    api.request("POST", f"/api/agents/runs/{run_id}/cancel")


def test_a_page_recovers_when_the_web_process_is_killed_during_a_stream(console: Console) -> None:
    user_id = uuid4()
    console.model.play(SLOW)
    run_id = chat(console.api(user_id))
    page = console.signed_in(f"/runs/{run_id}", user_id)
    streams(page)
    start = console.kill_web()
    expect(page.get_by_text("Reconnecting…")).to_be_visible(timeout=WAIT)
    streams(page)
    start()
    expect(live(page)).to_have_text(TEXT, use_inner_text=False, timeout=WAIT)
    assert live(page).text_content() == TEXT
    expect(page.get_by_text("Reconnecting…")).to_have_count(0)

    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the run").click()
    expect(badge(page, "Cancelled")).to_be_visible(timeout=WAIT)


def test_a_run_is_cancelled_retried_and_replayed(console: Console) -> None:
    user_id = uuid4()
    console.model.play(SLOW)
    page = console.signed_in(f"/runs/{chat(console.api(user_id))}", user_id)
    streams(page)
    page.get_by_role("button", name="Cancel", exact=True).click()
    dialog = page.get_by_role("dialog", name="Cancel this run?")
    dialog.get_by_role("button", name="Cancel the run").click()
    expect(badge(page, "Cancelled")).to_be_visible(timeout=WAIT)
    expect(live(page)).to_have_count(0)

    console.model.play(Script(text="All **done**.", delay=0))
    page.get_by_role("button", name="Retry").click()
    expect(badge(page, "Completed")).to_be_visible(timeout=WAIT)
    result = page.get_by_role("region", name="Result")
    expect(result.locator("strong")).to_have_text("done", timeout=WAIT)
    page.get_by_role("button", name="Raw").click()
    expect(page.get_by_role("group", name="Result", exact=True)).to_contain_text('reply: "All **done**."')

    before = page.url
    page.get_by_role("button", name="Replay").click()
    page.wait_for_url(lambda url: url != before, timeout=WAIT)
    expect(badge(page, "Completed")).to_be_visible(timeout=WAIT)
    expect(page.get_by_role("link", name=re.compile(before.rsplit("/", 1)[1][:8]))).to_be_visible()


def test_an_approval_appears_and_is_approved_with_a_comment(console: Console) -> None:
    user_id = uuid4()
    api = console.api(user_id)
    page = console.signed_in("/approvals", user_id)
    expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible(timeout=WAIT)
    run_id = review(api, "tulips")
    expect(page.get_by_text("Publish the text about tulips?")).to_be_visible(timeout=WAIT)
    page.get_by_role("button", name="Show what came before").click()
    expect(page.get_by_role("region", name="Output of draft")).to_be_visible(timeout=WAIT)
    page.get_by_label("Comment").fill("Yes, on Monday.")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible(timeout=WAIT)
    run = until(decided(api, run_id))
    assert run["status"] == "completed"
    assert run["outputs"]["decide"]["approved"] is True
    assert run["outputs"]["decide"]["comment"] == "Yes, on Monday."


def test_a_workflow_is_watched_step_by_step_and_approved_on_its_own_page(console: Console) -> None:
    user_id = uuid4()
    console.model.play(replace(SLOW, hang_after=None))
    page = console.signed_in(f"/runs/{review(console.api(user_id), 'roses')}", user_id)
    streams(page)
    expect(badge(page, "Waiting for approval")).to_be_visible(timeout=WAIT)
    page.get_by_role("tab", name="Graph").click()
    expect(page.get_by_role("button", name="decide, approval, waiting")).to_be_visible(timeout=WAIT)
    page.get_by_role("button", name="draft, content agent, completed").press("Enter")
    expect(page.get_by_role("region", name="Output of draft")).to_be_visible()
    page.get_by_label("Comment").fill("Good.")
    page.get_by_role("button", name="Approve").click()
    expect(badge(page, "Completed")).to_be_visible(timeout=WAIT)
    expect(page.get_by_role("button", name="note, chat agent, completed")).to_be_visible()


def test_only_an_administrator_decides_a_reserved_step_and_a_rejection_fails_the_run(console: Console) -> None:
    user_id = uuid4()
    run_id = review(console.api(user_id), "thistles", "console_admin_review")
    own = console.signed_in(f"/runs/{run_id}", user_id)
    expect(own.get_by_text("An administrator decides this.")).to_be_visible(timeout=WAIT)
    expect(own.get_by_role("button", name="Approve")).to_have_count(0)
    admin = console.signed_in("/approvals", admin=True)
    asked = admin.get_by_role("listitem").filter(has_text="Publish the text about thistles?")
    asked.get_by_label("Comment").fill("Not this one.")
    asked.get_by_role("button", name="Reject").click()
    expect(asked).to_have_count(0, timeout=WAIT)
    expect(badge(own, "Failed")).to_be_visible(timeout=WAIT)
    expect(own.get_by_role("alert")).to_contain_text("REJECTED")


def test_an_expired_session_asks_to_sign_in_and_sends_the_typed_text(console: Console) -> None:
    api = console.api(DEVELOPMENT_USER)
    run_id = review(api, "orchids")
    token = mint_user(console.stack.settings, DEVELOPMENT_USER, expires_in=30)  # time to load the page and to type
    page = console.signed_in(f"/runs/{run_id}", token=token)
    page.get_by_label("Comment").fill("Typed before the end of the session.")
    dialog = page.get_by_role("dialog", name="Your session has expired")
    expect(dialog).to_be_visible(timeout=2 * WAIT)
    dialog.get_by_role("button", name="Continue as demo user").click()
    expect(dialog).to_have_count(0, timeout=WAIT)
    page.get_by_role("button", name="Approve").click()
    expect(badge(page, "Completed")).to_be_visible(timeout=WAIT)
    run = until(decided(api, run_id))
    assert run["outputs"]["decide"]["comment"] == "Typed before the end of the session."


def test_a_user_sees_no_runs_of_other_users(console: Console) -> None:
    owner, other = uuid4(), uuid4()
    run_ids = [chat(console.api(owner)), review(console.api(owner), "secrets")]
    page = console.signed_in("/runs", other)
    expect(page.get_by_role("heading", name="No runs yet")).to_be_visible(timeout=WAIT)
    expect(page.get_by_label("User", exact=True)).to_have_count(0)
    for run_id in run_ids:
        page.goto(f"{console.url}/runs/{run_id}")
        expect(page.get_by_role("heading", name="Not found")).to_be_visible(timeout=WAIT)
    until(lambda: console.api(owner).get("/api/agents/approvals").json()["items"])
    page.goto(f"{console.url}/approvals")
    expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible(timeout=WAIT)
    page.goto(f"{console.url}/runs?user={owner}")
    expect(page.get_by_role("heading", name="Not allowed")).to_be_visible(timeout=WAIT)

    admin = console.signed_in(f"/runs?user={owner}", admin=True)
    expect(admin.locator("tbody tr")).to_have_count(2, timeout=WAIT)


def test_the_list_is_live_filtered_by_its_address_and_used_by_keyboard(console: Console) -> None:
    user_id = uuid4()
    api = console.api(user_id)
    page = console.signed_in("/runs", user_id)
    expect(page.get_by_role("heading", name="No runs yet")).to_be_visible(timeout=WAIT)
    console.model.play(Script(delay=0))
    chat(api)
    expect(page.locator("tbody tr").filter(has_text="Completed")).to_have_count(1, timeout=WAIT)
    review(api, "lilies")
    expect(page.locator("tbody tr").filter(has_text="Waiting for approval")).to_have_count(1, timeout=WAIT)
    expect(page.locator("tbody tr")).to_have_count(2)

    page.get_by_label("Text").fill("Lilies")
    expect(page.locator("tbody tr")).to_have_count(1, timeout=WAIT)
    expect(page.locator("tbody tr")).to_contain_text("Console review")
    page.get_by_label("Text").fill("nothing like this")
    expect(page.get_by_role("heading", name="No run matches")).to_be_visible(timeout=WAIT)
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("tbody tr")).to_have_count(2, timeout=WAIT)

    page.get_by_label("Agent or workflow").select_option("workflow:console_review")
    expect(page.locator("tbody tr")).to_have_count(1, timeout=WAIT)
    page.get_by_label("Status").select_option("running")
    page.wait_for_url("**/runs?of=workflow%3Aconsole_review&status=running")
    page.reload()
    expect(page.locator("tbody tr")).to_have_count(1, timeout=WAIT)
    page.get_by_label("Status").select_option("failed")
    expect(page.get_by_role("heading", name="No run matches")).to_be_visible(timeout=WAIT)
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("tbody tr")).to_have_count(2, timeout=WAIT)
    page.locator("tbody tr").first.focus()
    page.keyboard.press("j")
    expect(page.locator("tbody tr").nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main h1")).to_have_text("Chat assistant", timeout=WAIT)


def test_runs_of_both_kinds_are_one_paged_list(console: Console) -> None:
    user_id = uuid4()
    api = console.api(user_id)
    made = []
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    for number in range(60):
        if number % 3:
            made.append(chat(api, run_at=tomorrow))
        else:
            body = {"workflow_id": "console_review", "inputs": {"topic": "x"}, "async": True, "run_at": tomorrow}
            response = api.request("POST", "/api/agents/workflows/execute", json=body)
            made.append(str(response.json()["workflow_run_id"]))
    page = console.signed_in("/runs", user_id)
    expect(page.locator("tbody tr").first).to_be_visible(timeout=WAIT)
    while page.get_by_role("button", name="Show more").count():
        before = page.locator("tbody tr").count()
        page.get_by_role("button", name="Show more").click()
        expect(page.locator("tbody tr").nth(before)).to_be_visible(timeout=WAIT)
        expect(page.get_by_role("button", name="Show more", disabled=True)).to_have_count(0, timeout=WAIT)
    links = page.locator("tbody tr a")
    shown = [str(link.get_attribute("href")).rsplit("/", 1)[1] for link in links.all()]
    assert shown == list(reversed(made))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_run_fits_a_phone_and_passes_axe(console: Console, dark: bool) -> None:
    user_id = uuid4()
    api = console.api(user_id)
    text = "# Title\n\nA text. <img src=https://elsewhere.example/x onerror=injected=1>\n\n- one\n\n### Deep"
    console.model.play(Script(text=text, delay=0))
    run_id = review(api, "daisies")
    until(lambda: api.get("/api/agents/approvals").json()["items"])
    page = console.signed_in(f"/runs/{run_id}", user_id, viewport=PHONE, dark=dark)
    expect(badge(page, "Waiting for approval")).to_be_visible(timeout=WAIT)
    page.get_by_role("button", name="draft", exact=False).first.click()
    output = page.get_by_role("region", name="Output of draft")
    expect(output.get_by_role("heading", name="Title", level=3)).to_be_visible(timeout=WAIT)
    expect(output.locator("img")).to_have_count(0)
    assert page.evaluate("window.injected") is None
    for path in (f"/runs/{run_id}", f"/runs/{run_id}?view=graph", "/approvals", "/runs?range=custom"):
        if not page.url.endswith(path):
            page.goto(console.url + path)
            heading(page)
            expect(page.get_by_label("Loading")).to_have_count(0, timeout=WAIT)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
        assert axe(page) == [], path
