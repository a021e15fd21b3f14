"""The console's screens of automation: workflows, their editor, schedules, and failures."""

import json
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from playwright.sync_api import Page, expect

from tests.browser.console import DESKTOP, PHONE, WAIT, Console, axe, heading
from tests.integration.http import Api
from tests.migrations.rows import insert
from tests.waiting import until

WORKFLOWS = "/api/agents/workflows"
INPUTS = {"type": "object", "properties": {"message": {"type": "string", "minLength": 1}}, "required": ["message"]}


def step(key: str, *needs: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "agent": "chat_agent", "needs": list(needs), "input": {"message": "inputs.message"}, **more}


def new_name() -> str:
    return f"console_{uuid4().hex[:8]}"


def defined(console: Console, *steps: dict[str, Any]) -> str:
    name = new_name()
    body = {"workflow_id": name, "inputs": INPUTS, "steps": list(steps or [step("first"), step("second", "first")])}
    response = console.api().as_service().request("POST", WORKFLOWS, json=body)
    assert response.status_code == 201, response.text
    return name


def written(page: Page, definition: dict[str, Any] | str) -> None:
    text = definition if isinstance(definition, str) else json.dumps(definition, indent=2)
    page.get_by_label("Definition as JSON").fill(text)


@pytest.fixture
def add_failed(console: Console) -> Callable[..., str]:
    """Makes failed rows as workers write them: a run of chat_agent, or with `of` a delivery about a run."""

    def add(user_id: UUID, code: str = "TIMEOUT") -> str:
        run_id, user, given = str(uuid4()), str(user_id), '{"message": "Hello"}'
        what = {"kind": "agent", "agent_type": "chat_agent", "user_queue": user, "input": given}
        ended = {"status": "failed", "error": "The model was too slow.", "error_code": code, "finished_at": "now"}
        with psycopg.connect(console.stack.database_url, autocommit=True) as db:
            insert(db, "runs", {"id": run_id, "user_id": user, "caller": f"user:{user}", **what, **ended})
            insert(db, "run_steps", {"run_id": run_id, "key": "chat_agent", **what, **ended})
        return run_id

    return add


def test_a_workflow_is_run_from_its_form(console: Console) -> None:
    name, user_id = defined(console), uuid4()
    page = console.signed_in("/workflows", user_id)
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible(timeout=WAIT)
    expect(page.get_by_role("button", name="second, chat_agent")).to_be_visible(timeout=WAIT)
    expect(page.get_by_role("button", name="Edit", exact=True)).to_have_count(0)

    page.get_by_role("button", name="Run workflow").click()
    expect(page.get_by_label("Message")).to_have_attribute("aria-invalid", "true", timeout=WAIT)
    page.get_by_label("Message").fill("How long does it take?")
    page.get_by_role("button", name="Run workflow").click()
    page.wait_for_url(re.compile("/runs/[0-9a-f-]{36}$"), timeout=WAIT)

    run_id = page.url.rpartition("/")[2]
    run = console.api(user_id).get(f"{WORKFLOWS}/runs/{run_id}").json()
    assert (run["workflow_id"], run["inputs"]) == (name, {"message": "How long does it take?"})
    page.go_back()
    runs = page.get_by_role("table", name="Recent runs")
    expect(runs.get_by_text("Completed")).to_be_visible(timeout=WAIT)


def test_an_error_is_shown_at_its_line_and_a_version_is_created(console: Console) -> None:
    name = new_name()
    page = console.signed_in("/workflows/-/edit", admin=True)
    create = page.get_by_role("button", name="Create version")
    expect(create).to_be_enabled(timeout=WAIT)  # the initial text is valid

    written(page, {"workflow_id": name, "steps": [step("first"), step("second", "third")]})
    errors = page.get_by_role("list", name="Errors")
    expect(errors).to_contain_text("steps.1.needs.0 names no step: third", timeout=WAIT)
    expect(create).to_be_disabled()
    errors.get_by_role("button").click()
    area = page.get_by_label("Definition as JSON")
    assert '"third"' in area.evaluate("e => e.value.slice(e.selectionStart, e.selectionEnd)")

    page.keyboard.type('"')  # in place of the line that was selected
    options = page.get_by_role("listbox", name="Suggestions")
    expect(options.get_by_role("option")).to_have_text(["firstchat_agent"])
    page.keyboard.press("Enter")
    expect(page.get_by_text("Valid", exact=True)).to_be_visible(timeout=WAIT)
    expect(page.get_by_role("group", name="Steps").get_by_role("button")).to_have_count(2)

    create.click()
    page.wait_for_url(f"**/workflows/{name}", timeout=WAIT)
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible(timeout=WAIT)
    stored = console.api(admin=True).get(f"{WORKFLOWS}/{name}").json()
    assert (stored["version"], [one["needs"] for one in stored["steps"]]) == (1, [[], ["first"]])


def test_a_second_version_begins_with_the_first_and_shows_syntax_errors(console: Console) -> None:
    name = defined(console)
    page = console.signed_in(f"/workflows/{name}/edit", admin=True)
    area = page.get_by_label("Definition as JSON")
    expect(area).to_have_value(re.compile(name), timeout=WAIT)
    before = area.input_value()
    written(page, before.replace('"steps"', "steps"))
    errors = page.get_by_role("list", name="Errors")
    expect(errors).to_contain_text(re.compile("^Line [0-9]+ column [0-9]+: "), timeout=WAIT)

    page.reload()
    expect(page.get_by_text("This is your unfinished draft.")).to_be_visible(timeout=WAIT)
    page.get_by_role("button", name="Discard it").click()
    expect(area).to_have_value(before)

    written(page, before.replace('"second"', '"last"'))
    page.get_by_role("button", name="Create version").click()
    versions = page.get_by_role("table", name="Versions")
    expect(versions.get_by_role("row")).to_have_count(3, timeout=WAIT)
    versions.get_by_role("link", name="Version 1").click()
    expect(page.get_by_role("button", name="second, chat_agent")).to_be_visible(timeout=WAIT)
    page.get_by_role("link", name="Newest version").click()
    expect(page.get_by_role("button", name="last, chat_agent")).to_be_visible(timeout=WAIT)

    page.get_by_role("button", name="Retire").click()
    page.get_by_role("dialog").get_by_role("button", name="Retire").click()
    expect(page.get_by_text("This workflow takes no new runs.")).to_be_visible(timeout=WAIT)


def test_users_do_not_edit_workflows(console: Console) -> None:
    page = console.signed_in(f"/workflows/{defined(console)}/edit")
    expect(page.get_by_role("heading", name="Not allowed")).to_be_visible(timeout=WAIT)


def test_a_schedule_is_made_paused_resumed_and_deleted(console: Console) -> None:
    user_id = uuid4()
    api = console.api(user_id)
    page = console.signed_in("/schedules", user_id)
    expect(page.get_by_role("heading", name="No schedules yet")).to_be_visible(timeout=WAIT)
    page.get_by_role("button", name="New schedule").click()
    dialog = page.get_by_role("dialog", name="New schedule")
    dialog.get_by_label("What runs").select_option("agent chat_agent")
    dialog.get_by_label("Cron expression").fill("61 7 * * 1")
    dialog.get_by_label("Message", exact=True).fill("Good morning")
    dialog.get_by_role("button", name="Create schedule").click()
    expect(dialog.get_by_text(re.compile("must be five fields"))).to_be_visible(timeout=WAIT)
    dialog.get_by_label("Cron expression").fill("30 7 * * 1")
    expect(dialog.get_by_text("Every Monday at 07:30")).to_be_visible()
    dialog.get_by_role("button", name="Create schedule").click()

    schedule = page.get_by_role("article", name="chat_agent, 30 7 * * 1")
    expect(schedule.get_by_role("list", name="Next times").get_by_role("listitem")).to_have_count(5, timeout=WAIT)
    schedule.get_by_role("button", name="Pause").click()
    expect(schedule.get_by_text("Paused: it starts nothing")).to_be_visible(timeout=WAIT)
    assert [one["active"] for one in api.get("/api/agents/schedules").json()["items"]] == [False]
    schedule.get_by_role("button", name="Resume").click()
    expect(schedule.get_by_text("Active", exact=True)).to_be_visible(timeout=WAIT)
    schedule.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="No schedules yet")).to_be_visible(timeout=WAIT)
    assert api.get("/api/agents/schedules").json()["items"] == []


def test_failed_runs_are_retried_from_their_groups(console: Console, add_failed: Callable[..., str]) -> None:
    user_id = uuid4()
    run_ids = [add_failed(user_id) for _ in range(2)]
    other = add_failed(user_id, "REJECTED")
    page = console.signed_in("/failures", user_id)
    groups = page.get_by_role("table", name="Failed runs by error and agent")
    timeouts = groups.get_by_role("row").filter(has_text="TIMEOUT")
    expect(timeouts).to_contain_text("chat_agent", timeout=WAIT)
    expect(page.get_by_role("tab")).to_have_text(["Failed runs", "Webhook deliveries"])

    timeouts.get_by_role("checkbox").check()
    page.get_by_role("button", name="Retry 2 selected").click()
    page.get_by_role("dialog", name="Retry 2 runs?").get_by_role("button", name="Retry").click()
    expect(page.get_by_text("2 runs go on")).to_be_visible(timeout=WAIT)
    expect(timeouts).to_have_count(0, timeout=WAIT)
    api = console.api(user_id)
    for run_id in run_ids:
        until(lambda run_id=run_id: api.get(f"/api/agents/runs/{run_id}").json()["status"] == "completed")

    groups.get_by_role("button", name="Runs of chat_agent, REJECTED").click()
    page.get_by_role("button", name=f"Retry run {other[:8]}").click()
    expect(page.get_by_role("heading", name="Nothing has failed")).to_be_visible(timeout=WAIT)
    until(lambda: api.get(f"/api/agents/runs/{other}").json()["status"] == "completed")


def test_a_webhook_is_delivered_again(console: Console, add_failed: Callable[..., str]) -> None:
    user_id = uuid4()
    delivery_id, ended = str(uuid4()), {"status": "failed", "attempts": 12, "finished_at": "2026-01-01"}
    error = "The receiver returned 500."
    said = {"last_status_code": 500, "last_error": error}
    tried = [{"at": "2026-01-01T00:00:00Z", "status_code": 500, "error": error, "duration_ms": 9}]
    about = {"run_id": add_failed(user_id), "user_id": user_id, "url": "http://127.0.0.1:9/hook", "event": "run.failed"}
    with psycopg.connect(console.stack.database_url, autocommit=True) as db:
        row = {"id": delivery_id, "outcomes": json.dumps(tried), **about, **ended, **said}
        insert(db, "webhook_deliveries", row)
    page = console.signed_in("/failures?tab=webhooks", user_id)
    page.get_by_label("Status").select_option("failed")
    assert page.url.endswith("tab=webhooks&status=failed")
    page.get_by_role("button", name=re.compile("attempts?: show them")).click()
    attempts = page.get_by_role("dialog", name="Attempts")
    expect(attempts.get_by_role("table")).to_contain_text(error, timeout=WAIT)
    attempts.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Send again: run.failed to").click()
    expect(page.get_by_text("Sent again", exact=True)).to_be_visible(timeout=WAIT)
    [found] = console.api(user_id).get("/api/agents/webhooks").json()["items"]
    assert (found["delivery_id"], found["finished_at"]) != (delivery_id, "2026-01-01T00:00:00.000000Z")


def test_an_administrator_replays_an_event_of_stripe(console: Console) -> None:
    event_id = f"evt_{uuid4().hex}"
    failed = {"status": "failed", "attempts": 12, "error": "No payment of that charge is known."}
    with psycopg.connect(console.stack.database_url, autocommit=True) as db:
        row = {"id": event_id, "type": "ping", "payload": json.dumps({"id": event_id}), "occurred_at": "2026-01-01"}
        insert(db, "stripe_events", {**row, **failed})
    page = console.signed_in("/failures?tab=stripe&status=failed", admin=True)
    page.get_by_role("button", name=f"Replay ping, {event_id}").click()
    expect(page.get_by_text("1 event is processed again")).to_be_visible(timeout=WAIT)
    with psycopg.connect(console.stack.database_url, autocommit=True) as db:

        def attempts() -> Any:
            return db.execute("select status, attempts from stripe_events where id = %s", (event_id,)).fetchone()

        until(lambda: attempts() != ("failed", 12))
        db.execute("delete from stripe_events where id = %s", (event_id,))


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_screens_fit_with_rows_in_them(
    console: Console, add_failed: Callable[..., str], size: dict[str, int]
) -> None:
    user_id = uuid4()
    run_id, name = add_failed(user_id, "UPSTREAM_ERROR"), defined(console)
    api: Api = console.api(user_id)
    what = {"agent_type": "chat_agent", "input": {"message": "Hello"}, "cron": "*/15 * * * *"}
    assert api.request("POST", "/api/agents/schedules", json=what).status_code == 201
    page = console.signed_in("/", user_id, admin=True, viewport=size, dark=size is PHONE)
    for path in (f"/workflows/{name}?version=1", f"/schedules?user={user_id}", f"/failures?user={user_id}"):
        page.goto(console.url + path)
        heading(page)
        expect(page.get_by_label("Loading")).to_have_count(0, timeout=WAIT)
        if "failures" in path:
            page.get_by_role("button", name="Runs of chat_agent, UPSTREAM_ERROR").click()
            expect(page.get_by_role("link", name=run_id[:8])).to_be_visible(timeout=WAIT)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], path
        assert axe(page) == [], path
