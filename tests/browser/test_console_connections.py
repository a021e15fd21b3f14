"""The console's screens when their sockets open late: what changed before is shown, though no event came."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID, uuid4

import psycopg
import pytest
from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from tests.browser.console import WAIT, Console
from tests.browser.runs import chat
from tests.browser.test_console_conversations import QUESTION, begin
from tests.browser.test_console_leads import add
from tests.browser.test_console_notifications import notify
from tests.browser.test_console_workflows import defined
from tests.migrations.rows import insert
from tests.rows import one


@dataclass
class Late:
    """A screen whose sockets open late: what it shows at first, a change, and how the change is shown."""

    path: str
    before: str | re.Pattern[str]
    change: Callable[[], object]
    after: Callable[[Page], Locator]


class Gate:
    """The sockets of a page: refused until `open` is called."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._open = False
        page.route_web_socket(re.compile("/api/ws/"), self._connected)

    def open(self) -> None:
        """Let the page connect now, without its pauses."""
        self._open = True
        self._page.evaluate("dispatchEvent(new Event('online'))")

    def _connected(self, socket: WebSocketRoute) -> None:
        if self._open:
            socket.connect_to_server()
        else:
            socket.close(code=1013)


def nothing_follows(console: Console, user_id: UUID) -> bool:
    """Whether all events of this user are published, and no run of the user will publish more."""
    with psycopg.connect(console.stack.database_url) as db:
        # In this order: a run that ends in between has left its event by the time events are counted.
        open_runs = one(db, "select count(*) from runs where user_id = %s and finished_at is null", user_id)
        events = one(db, "select count(*) from event_outbox where user_id = %s", user_id)
    return events == open_runs == 0


def leads(console: Console, user_id: UUID) -> Late:
    api = console.api(user_id)
    return Late("/leads", "No leads yet", lambda: add(api), lambda page: page.get_by_role("link", name="Ada Mills"))


def lead(console: Console, user_id: UUID) -> Late:
    api = console.api(user_id)
    path = f"/leads/{add(api)}"

    def change() -> None:
        api.request("PATCH", f"/api{path}", json={"name": "Ada Moore"})

    return Late(path, "Ada Mills", change, lambda page: page.get_by_role("heading", level=1, name="Ada Moore"))


def conversation(console: Console, user_id: UUID) -> Late:
    api = console.api(user_id)
    path = f"/conversations/{begin(api)}"

    def change() -> None:
        api.request("POST", f"/api{path}/messages", json={"content": QUESTION})

    return Late(path, "Nothing was said yet", change, lambda page: page.locator(".said.user").get_by_text(QUESTION))


def notifications(console: Console, user_id: UUID) -> Late:
    title = "Look at the leads"

    def shown(page: Page) -> Locator:
        return page.get_by_role("list", name="Notifications").get_by_role("listitem").filter(has_text=title)

    return Late("/notifications", "No notifications yet", lambda: notify(console, user_id, title), shown)


def subscription(console: Console, user_id: UUID) -> Late:
    def change() -> None:
        with psycopg.connect(console.stack.database_url, autocommit=True) as db:
            insert(db, "user_subscriptions", {"user_id": user_id, "status": "active", "final_price": 49})

    return Late(
        "/billing",
        re.compile("^(Choose|Nothing is for sale)$"),
        change,
        lambda page: page.get_by_role("region", name="Your subscription"),
    )


def runs(console: Console, user_id: UUID) -> Late:
    api = console.api(user_id)

    def shown(page: Page) -> Locator:
        return page.get_by_role("table", name="Runs").locator("tbody tr")

    return Late("/runs", "No runs yet", lambda: chat(api), shown)


def runs_of_a_workflow(console: Console, user_id: UUID) -> Late:
    name = defined(console)

    def change() -> None:
        body = {"workflow_id": name, "inputs": {"message": "Hello"}, "async": True}
        console.api(user_id).request("POST", "/api/agents/workflows/execute", json=body)

    def shown(page: Page) -> Locator:
        return page.get_by_role("table", name="Recent runs").locator("tbody tr")

    return Late(f"/workflows/{name}", "It has not run yet.", change, shown)


@pytest.mark.parametrize(
    "screen",
    [leads, lead, conversation, notifications, subscription, runs, runs_of_a_workflow],
    ids=lambda f: f.__name__,
)
def test_what_changed_before_a_socket_opened_is_shown(
    console: Console, screen: Callable[[Console, UUID], Late]
) -> None:
    user_id = uuid4()
    late = screen(console, user_id)
    page = console.signed_in("/schedules", user_id)
    gate = Gate(page)
    page.goto(console.url + late.path)
    expect(page.get_by_text(late.before).first).to_be_visible(timeout=WAIT)
    expect(page.get_by_text("Reconnecting…")).to_be_visible(timeout=WAIT)
    late.change()
    console.stack.wait_for(lambda: nothing_follows(console, user_id))
    expect(late.after(page)).to_have_count(0)
    gate.open()
    expect(late.after(page)).to_have_count(1, timeout=WAIT)
