"""A token's `scope` limits it everywhere: each operation of the API, each socket, each table behind PostgREST."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from websockets.sync.client import connect

from pixelbloom.auth.mint import mint_service, mint_user
from pixelbloom.auth.principal import SCOPES
from tests.integration.http import CHAT, Api, is_error
from tests.integration.web.contract import PUBLIC, operations
from tests.servers.web import Client
from tests.stack import Stack
from tests.waiting import SECONDS

#: These need no token, or none with a scope.
UNSCOPED = {*PUBLIC - {"POST /api/payments/create-checkout-session"}, "GET /healthz", "GET /readyz", "GET /api/me"}
#: Own ones need no scope of their own, but one that is not empty.
OWN = re.compile("/api/agents|/api/payments/create-checkout-session")
REFUSAL = "scope does not include"


@pytest.fixture(scope="module")
def web(stack: Stack) -> Iterator[Api]:
    handle = stack.start("web", env={"RUN_RATE_LIMIT": "off", "QUOTE_RATE_LIMIT": "off"})
    yield Api(handle.url, None, stack.settings)
    handle.kill()


@pytest.fixture(scope="module")
def guarded(web: Api) -> list[tuple[str, str, str]]:
    """Each operation that needs a token: method, path, and the scope that it needs."""
    names = [name for name, _ in operations(web.get("/api/openapi.json").json()) if name not in UNSCOPED]
    assert len(names) > 60
    return [(*name.split(" ", 1), needed(name)) for name in names]  # type: ignore[misc]


def needed(name: str) -> str:
    method, path = name.split(" ", 1)
    resource = path.removeprefix("/api").split("/")[1].replace("agents", "runs").replace("pricing", "payments")
    writes = method != "GET" and (resource != "notifications" or path == "/api/notifications")
    return f"{resource}:{'write' if writes else 'read'}"


def call(api: Api, method: str, path: str) -> httpx.Response:
    path = path.replace("{agent_type}", "chat_agent").replace("{workflow_id}", "unknown_workflow")
    path = re.sub(r"\{[a-z_]+\}", str(uuid4()), path)
    body = {} if method == "GET" else {"json": {}}
    return api.request(method, path, **body)


def service(web: Api, *scopes: str) -> Api:
    return web.with_token(mint_service(web.settings, scopes=scopes))


def test_a_token_with_an_empty_scope_reaches_no_operation(web: Api, guarded: list[tuple[str, str, str]]) -> None:
    for caller in (web.as_user(scopes=[]), web.as_user(scopes=[], admin=True), service(web)):
        for method, path, scope in guarded:
            error = is_error(call(caller, method, path), 403, "FORBIDDEN")["error"]
            assert f"{REFUSAL} {scope}" in error, (method, path, error)


def test_all_other_scopes_together_do_not_open_an_operation(web: Api, guarded: list[tuple[str, str, str]]) -> None:
    for method, path, scope in guarded:
        others = [name for name in SCOPES if name != scope]
        error = is_error(call(service(web, *others), method, path), 403, "FORBIDDEN")["error"]
        assert f"{REFUSAL} {scope}" in error, (method, path, error)
        response = call(web.as_user(scopes=others), method, path)
        assert (REFUSAL in response.text) == (not OWN.match(path)), (method, path, response.text)


def test_the_needed_scope_alone_opens_an_operation(web: Api, guarded: list[tuple[str, str, str]]) -> None:
    for method, path, scope in guarded:
        for caller in (web.as_user(admin=True, scopes=[scope]), service(web, scope)):
            assert REFUSAL not in call(caller, method, path).text, (method, path)


def test_an_administrator_without_the_runs_scope_sees_only_own_runs(web: Api) -> None:
    owner, narrow = web.as_user(), web.as_user(admin=True, scopes=["analytics:read"])
    run_id = owner.invoke(CHAT).json()["request_id"]
    path = f"/api/agents/runs/{run_id}"

    is_error(narrow.get(path), 404, "NOT_FOUND")
    is_error(narrow.get(f"/api/agents/runs?user_id={owner.user_id}"), 403, "FORBIDDEN")
    is_error(narrow.request("POST", f"{path}/cancel"), 404, "NOT_FOUND")
    own = narrow.invoke(CHAT).json()["request_id"]
    assert narrow.get(f"/api/agents/runs/{own}").status_code == 200
    assert web.as_user(admin=True, scopes=["runs:read"]).get(path).status_code == 200


def test_the_role_in_a_profile_does_not_widen_a_limited_token(web: Api, db: psycopg.Connection) -> None:
    chief = uuid4()
    db.execute("insert into public.user_profiles (user_id, role) values (%s, 'admin')", (chief,))
    run_id = web.as_user().invoke(CHAT).json()["request_id"]
    path = f"/api/agents/runs/{run_id}"

    is_error(web.as_user(chief, scopes=["analytics:read"]).get(path), 404, "NOT_FOUND")
    assert web.as_user(chief, scopes=["runs:read"]).get(path).status_code == 200
    db.execute("delete from public.user_profiles where user_id = %s", (chief,))


def socket(web: Api, token: str, channel: str) -> Client:
    return Client(connect(f"{web.url.replace('http', 'ws', 1)}/api/ws/{channel}?token={token}", open_timeout=SECONDS))


@pytest.mark.parametrize("channel", ["workflows", "notifications", "analytics"])
def test_a_token_with_an_empty_scope_opens_no_socket(web: Api, channel: str) -> None:
    for token in (
        mint_user(web.settings, uuid4(), scopes=[]),
        mint_user(web.settings, uuid4(), admin=True, scopes=[]),
        mint_service(web.settings, scopes=[]),
    ):
        with socket(web, token, channel) as client:
            code, _, frames = client.closed()
        assert (code, [frame["code"] for frame in frames]) == (1008, ["UNAUTHORIZED"])
        assert REFUSAL in frames[0]["message"]


def test_a_socket_shows_other_users_runs_only_to_a_token_with_the_runs_scope(web: Api) -> None:
    owner = web.as_user()
    topic = f"workflow_run:{owner.invoke(CHAT).json()['request_id']}"
    for scopes, response in ((["analytics:read"], "error"), (["runs:read"], "subscribed")):
        with socket(web, mint_user(web.settings, uuid4(), admin=True, scopes=scopes), "workflows") as client:
            client.send(type="subscribe", topic=topic)
            assert client.next()["type"] == response
    with socket(web, mint_service(web.settings, scopes=["analytics:read"]), "workflows") as client:
        assert client.closed()[0] == 1008


@pytest.fixture
def owner(db: psycopg.Connection) -> Iterator[UUID]:
    """A user with a row in some tables, one of each kind of rule."""
    user = uuid4()
    db.execute("insert into public.user_profiles (user_id, display_name) values (%s, 'Ada')", (user,))
    db.execute("insert into public.leads (user_id, name) values (%s, 'Ada')", (user,))
    db.execute(
        "insert into public.runs (id, user_id, kind, agent_type, caller, user_queue, input, status, finished_at)"
        " values (gen_random_uuid(), %s, 'agent', 'chat_agent', 'x', 'x', '{}', 'cancelled', now())",
        (user,),
    )
    yield user
    for table in ("user_profiles", "leads", "runs"):
        db.execute(f"delete from public.{table} where user_id = %s", (user,))  # noqa: S608  (constant names)


@pytest.mark.parametrize(
    ("scopes", "seen"),
    [
        (None, {"user_profiles": 1, "leads": 1, "runs": 1}),
        ([], {"user_profiles": 1, "leads": 0, "runs": 0}),
        (["analytics:read"], {"user_profiles": 1, "leads": 0, "runs": 1}),
        (["leads:read"], {"user_profiles": 1, "leads": 1, "runs": 1}),
    ],
)
def test_postgrest_limits_a_token_as_the_api_does(
    stack: Stack, owner: UUID, scopes: list[str] | None, seen: dict[str, int]
) -> None:
    token = mint_user(stack.settings, owner, scopes=scopes)
    with httpx.Client(base_url=stack.rest_url, trust_env=False, timeout=SECONDS) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        found: dict[str, Any] = {table: client.get(f"/{table}?select=*") for table in seen}
        changed = client.patch("/leads?select=name", json={"name": "Eve"}, headers={"Prefer": "return=representation"})
    assert {table: len(response.json()) for table, response in found.items()} == seen
    assert len(changed.json()) == (1 if scopes is None else 0)
