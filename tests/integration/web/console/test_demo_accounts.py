"""Signing in to the console by one click: only on the local stack, and only from its own page."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from pixelbloom.auth.tokens import TokenVerifier
from pixelbloom.config import DEVELOPMENT_USER
from pixelbloom.local.supabase import demo
from tests.stack import Stack, StartedProcess, stop_all
from tests.waiting import SECONDS


@pytest.fixture(scope="module")
def web(stack: Stack) -> Iterator[StartedProcess]:
    demo.ensure(stack.home, stack.database_url)
    started = [stack.start("web", env={"PIXELBLOOM_DEMO_ACCOUNTS": str(stack.home.accounts_file)})]
    yield started[0]
    stop_all(started)


def ask(web: StartedProcess, account: Any, **headers: str) -> httpx.Response:
    """A request as the console's page sends it, but for `headers`."""
    own = {"Origin": web.url, "Sec-Fetch-Site": "same-origin"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(
        f"{web.url}/console/demo", json={"account": account}, headers=own | named, trust_env=False, timeout=SECONDS
    )


@pytest.mark.parametrize(
    ("account", "user_id", "admin"),
    [("user", DEVELOPMENT_USER, False), ("administrator", demo.DEVELOPMENT_ADMIN, True)],
)
def test_each_account_gets_a_session_of_its_own(
    stack: Stack, web: StartedProcess, account: str, user_id: Any, admin: bool
) -> None:
    config = httpx.get(f"{web.url}/console/config.json", trust_env=False, timeout=SECONDS).json()
    assert config["demo_accounts"] == ["user", "administrator"]
    response = ask(web, account)
    assert response.status_code == 200, response.text
    assert response.headers["Cache-Control"] == "no-store"
    session = response.json()
    principal = TokenVerifier(stack.settings).verify(session["access_token"])
    assert (principal.user_id, principal.admin) == (user_id, admin)
    assert session["refresh_token"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "http://localhost:5173"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Host": "rebound.example:8000", "Origin": "http://rebound.example:8000"},
    ],
    ids=["another-page", "another-port", "no-page", "same-site", "cross-site", "rebound-name"],
)
def test_another_page_may_not_use_demo_accounts(web: StartedProcess, headers: dict[str, str]) -> None:
    response = ask(web, "user", **headers)
    assert (response.status_code, response.json()["code"]) == (403, "FORBIDDEN")


def test_a_request_without_an_origin_is_refused(web: StartedProcess) -> None:
    response = httpx.post(f"{web.url}/console/demo", json={"account": "user"}, trust_env=False, timeout=SECONDS)
    assert response.status_code == 403


@pytest.mark.parametrize("account", ["root", None, 1, ["user"]])
def test_only_the_two_accounts_are_known(web: StartedProcess, account: Any) -> None:
    assert ask(web, account).status_code == 400


@pytest.mark.parametrize("url", ["https://abc.supabase.co", "http://192.0.2.7:8000"])
def test_no_demo_accounts_are_offered_with_another_supabase(stack: Stack, url: str) -> None:
    started = stack.start("web", env={"PIXELBLOOM_DEMO_ACCOUNTS": str(stack.home.accounts_file), "SUPABASE_URL": url})
    try:
        config = httpx.get(f"{started.url}/console/config.json", trust_env=False, timeout=SECONDS).json()
        assert (config["supabase_url"], config["demo_accounts"]) == (url, [])
        assert ask(started, "user").status_code == 404
    finally:
        started.kill()
