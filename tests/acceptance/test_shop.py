"""PIXELBLOOM_STRIPE=local: buying, upgrading, a failed payment and cancelling without a Stripe account."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection

from pixelbloom.auth.mint import mint_user
from pixelbloom.local.postgrest import free_port
from tests.acceptance.up import RunningStack, start_stack
from tests.servers.web import dial
from tests.waiting import Deadline

#: Whole stacks are started and killed.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def api(stack: RunningStack) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {token(stack)}"}
    with httpx.Client(base_url=stack.url, headers=headers, trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    home = tmp_path_factory.mktemp("shop") / "home"
    with start_stack(home, PIXELBLOOM_STRIPE="local", STRIPE_PORT=str(free_port())) as running:
        yield running


def test_a_new_user_goes_through_the_life_of_a_subscription(stack: RunningStack, api: httpx.Client) -> None:
    shop = f"http://127.0.0.1:{stack.environment['STRIPE_PORT']}"
    seed = [sys.executable, "-m", "pixelbloom", "seed", "--yes"]
    subprocess.run(seed, env=stack.environment, cwd=stack.home.parent, check=True, capture_output=True, timeout=120)
    packages = {item["name"]: item for item in api.get("/api/pricing/packages").json()["items"]}

    def subscription() -> dict[str, Any]:
        found: dict[str, Any] = api.get("/api/payments/subscription").json()
        return found

    def control(action: str, **params: Any) -> None:
        assert httpx.post(f"{shop}/_control/{action}", json=params, trust_env=False, timeout=60).status_code == 200

    with open_socket(stack, "analytics") as analytics, open_socket(stack, "notifications") as notifications:
        body = {"metadata": {"package_id": packages["Starter"]["package_id"]}, "campaign_code": "WELCOME20"}
        session = api.post("/api/payments/create-checkout-session", json=body).json()
        assert "39.20 USD" in httpx.get(session["url"], trust_env=False, timeout=60).text
        done = httpx.post(session["url"], data={"do": "paid"}, trust_env=False, timeout=60, follow_redirects=True)
        assert "Thank you" in done.text
        assert until(analytics, "subscription_created")["data"]["plan"] == "Starter"
        assert until(notifications, "notification_created")["data"]["title"] == "Payment received"
        bought = subscription()
        assert (bought["status"], bought["final_price"]) == ("active", 39.2)

        package = {"package_id": packages["Studio"]["package_id"]}
        assert api.post("/api/payments/subscription/change", json=package).json()["plan"] == "Studio"
        assert until(analytics, "subscription_updated", plan="Studio")
        control("renew", subscription=bought["stripe_subscription_id"], outcome="failed")
        assert until(notifications, "notification_created", notification_type="payment_failed")
        stack.wait_for(lambda: subscription()["status"] == "past_due")
        ended = api.post("/api/payments/subscription/cancel", json={"at_period_end": False}).json()
        assert ended["status"] == "cancelled"
        assert until(notifications, "notification_created", notification_type="subscription_ended")
    revenue = api.get("/api/analytics/overview").json()["total_revenue"]
    # A year of Studio, less what was paid for the month of Starter that had just begun.
    assert revenue["value"] == pytest.approx(4990 * 0.8, abs=1)


def token(stack: RunningStack) -> str:
    return mint_user(stack.settings, stack.user_id)


def open_socket(stack: RunningStack, channel: str) -> ClientConnection:
    return dial(f"ws://127.0.0.1:{stack.port}/api/ws/{channel}?token={token(stack)}", proxy=None)


def until(client: ClientConnection, kind: str, **wanted: Any) -> dict[str, Any]:
    """Return the next event of this type with this data."""
    event: dict[str, Any] = {}
    deadline = Deadline(saw=lambda: event, what=f"{kind} with {wanted}")
    while True:
        event = json.loads(client.recv(timeout=deadline.left))
        if event["type"] == kind and all(event["data"].get(name) == value for name, value in wanted.items()):
            return dict(event)


def test_the_stand_in_and_a_stripe_key_exclude_each_other(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path / "home", PIXELBLOOM_STRIPE="local", STRIPE_API_KEY="sk_test_x")
    stack.start()
    stack.wait_for(lambda: stack.exit_code() is not None)

    assert "PIXELBLOOM_STRIPE is local and STRIPE_API_KEY is set" in stack.output
