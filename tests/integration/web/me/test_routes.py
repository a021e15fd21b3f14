"""`GET /api/me`: each form of token is described, and its permissions match the resources."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx
import jwt
import psycopg
import pytest

from pixelbloom.auth.mint import mint_service
from pixelbloom.auth.permissions import PERMISSIONS
from tests.integration.http import Api, is_error
from tests.migrations.rows import insert
from tests.stack import Stack
from tests.waiting import SECONDS

MISSING = str(uuid4())
#: For each permission a request that is refused to a caller without it, and fails or succeeds later with it.
PROBES = {
    "analytics:read": ("GET", "/api/analytics/overview"),
    "agents:analyze": ("GET", "/api/analytics/agents/summary"),
    "notifications:read": ("GET", f"/api/notifications/{MISSING}"),
    "notifications:write": ("POST", "/api/notifications"),
    "runs:read": ("GET", "/api/agents/runs"),
    "runs:write": ("POST", "/api/agents/invoke"),
    "workflows:execute": ("POST", "/api/agents/workflows/execute"),
    "workflows:write": ("DELETE", "/api/agents/workflows/unknown_workflow"),
    "approvals:write": ("POST", f"/api/agents/workflows/runs/{MISSING}/steps/a/approve"),
    "schedules:write": ("POST", "/api/agents/schedules"),
    "webhooks:read": ("GET", "/api/agents/webhooks"),
    "leads:read": ("GET", f"/api/leads/{MISSING}"),
    "leads:write": ("POST", "/api/leads"),
    "conversations:read": ("GET", f"/api/conversations/{MISSING}"),
    "conversations:write": ("POST", "/api/conversations"),
    "payments:read": ("GET", "/api/payments/subscription"),
    "payments:write": ("POST", "/api/payments/portal-session"),
    "pricing:write": ("POST", "/api/pricing/packages"),
    "metrics:read": ("GET", "/metrics"),
}
#: Supabase decides these, by row level security.
AT_SUPABASE = {"profiles:read", "profiles:write"}
#: A body that is an object, and that no operation takes.
BODY = {"json": {"unknown_field": 1}}


@pytest.fixture(scope="module")
def web(stack: Stack) -> Iterator[Api]:
    limits = {"RUN_RATE_LIMIT": "off", "VISITOR_LEAD_LIMIT": "1000/hour", "VISITOR_MESSAGE_LIMIT": "1000/hour"}
    handle = stack.start("web", env=limits)
    yield Api(handle.url, None, stack.settings)
    handle.kill()


def visitor(web: Api) -> Api:
    return web.with_token(web.request("POST", "/api/visitors/sessions").json()["token"])


def spec_form(web: Api, role: str) -> Api:
    assert web.settings.api_jwt_secret is not None
    claims = {"sub": str(uuid4()), "role": role, "exp": 4_000_000_000, "iat": 1_700_000_000, "scope": ["runs:read"]}
    return web.with_token(jwt.encode(claims, web.settings.api_jwt_secret.get_secret_value(), algorithm="HS256"))


CALLERS: dict[str, tuple[str, Callable[[Api], Api]]] = {
    "user": ("user", lambda web: web.as_user()),
    "user with a scope": ("user", lambda web: web.as_user(scopes=["leads:read"])),
    "user with an empty scope": ("user", lambda web: web.as_user(scopes=[])),
    "user of the spec's form": ("user", lambda web: spec_form(web, "user")),
    "administrator": ("admin", lambda web: web.as_user(admin=True)),
    "administrator with a scope": ("admin", lambda web: web.as_user(admin=True, scopes=["analytics:read"])),
    "administrator with an empty scope": ("admin", lambda web: web.as_user(admin=True, scopes=[])),
    "administrator of the spec's form": ("admin", lambda web: spec_form(web, "admin")),
    "service": ("service", lambda web: web.as_service()),
    "service with a scope": ("service", lambda web: web.with_token(mint_service(web.settings, scopes=["runs:write"]))),
    "service with an empty scope": ("service", lambda web: web.with_token(mint_service(web.settings, scopes=[]))),
    "visitor": ("visitor", visitor),
    "anonymous user": ("anonymous", Api.as_anonymous),
}


def described(api: Api) -> dict[str, Any]:
    response = api.get("/api/me")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    assert set(found) == {
        *("user_id", "visitor_id", "role", "scopes", "caller", "expires_at", "permissions", "all_users"),
    }
    return found


@pytest.mark.parametrize("name", CALLERS)
def test_permissions_match_what_the_resources_allow(name: str, web: Api) -> None:
    role, make = CALLERS[name]
    caller = make(web)
    me = described(caller)

    assert me["role"] == role
    allowed = set(me["permissions"]) - AT_SUPABASE
    for permission, (method, path) in PROBES.items():
        response = caller.request(method, path, **({} if method == "GET" else BODY))
        assert (response.status_code not in (401, 403)) == (permission in allowed), (permission, response.text)
    assert set(me["all_users"]) <= set(me["permissions"])


def test_every_permission_has_a_probe() -> None:
    assert {permission.name for permission in PERMISSIONS} - AT_SUPABASE == set(PROBES)


def test_users_are_named_with_their_scopes_and_the_end_of_their_token(web: Api) -> None:
    user = web.as_user(scopes=["notifications:read", "analytics:read"], expires_in=600)
    assert user.token is not None
    me = described(user)

    assert (me["user_id"], me["visitor_id"]) == (str(user.user_id), None)
    assert me["caller"] == f"user:{user.user_id}"
    assert me["scopes"] == ["analytics:read", "notifications:read"]
    assert me["expires_at"].endswith("Z")
    ends = jwt.decode(user.token, options={"verify_signature": False})["exp"]
    assert datetime.fromisoformat(me["expires_at"]).timestamp() == ends
    assert described(web.as_user())["scopes"] is None
    service = described(web.as_service())
    assert (service["user_id"], service["caller"]) == (None, "service")
    session = described(visitor(web))
    assert session["caller"] == f"visitor:{session['visitor_id']}"
    assert (session["user_id"], session["scopes"]) == (None, None)


def test_the_role_of_a_profile_counts(web: Api, db: psycopg.Connection) -> None:
    chief = web.as_user()
    insert(db, "user_profiles", {"user_id": chief.user_id, "role": "admin"})

    me = described(chief)
    assert me["role"] == "admin"
    assert "leads:read" in me["all_users"]
    db.execute("delete from user_profiles where user_id = %s", (chief.user_id,))


def test_a_limited_administrator_reaches_all_users_where_the_scope_says_so(web: Api) -> None:
    me = described(web.as_user(admin=True, scopes=["leads:read"]))
    assert me["all_users"] == ["leads:read"]
    assert "runs:read" in me["permissions"]
    assert described(web.as_user())["all_users"] == []


def test_a_missing_and_a_malformed_token_are_refused(web: Api) -> None:
    is_error(web.get("/api/me"), 401, "UNAUTHORIZED")
    is_error(web.with_token("x").get("/api/me"), 401, "UNAUTHORIZED")
    assert isinstance(httpx.get(f"{web.url}/api/me", trust_env=False, timeout=SECONDS).headers["WWW-Authenticate"], str)
