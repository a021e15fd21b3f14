"""Sessions of the local stack's `/auth/v1`: refreshed, signed out, and ended with their user."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import psycopg
import pytest

from tests.integration.local.supabase.auth import PASSWORD, Call, address, code, refreshed, signed_up
from tests.stack import Stack


def test_a_refresh_token_works_once_and_its_reuse_ends_the_session_alone(call: Call) -> None:
    email = address()
    first = signed_up(call, email)
    other = call("POST", "token?grant_type=password", {"email": email, "password": PASSWORD}).get_json()
    second = refreshed(call, first["refresh_token"]).get_json()
    third = refreshed(call, second["refresh_token"]).get_json()
    assert len({one["refresh_token"] for one in (first, second, third)}) == 3

    assert code(refreshed(call, first["refresh_token"])) == (400, "refresh_token_already_used")
    assert code(refreshed(call, third["refresh_token"])) == (400, "refresh_token_not_found")
    assert code(call("GET", "user", token=third["access_token"])) == (403, "session_not_found")
    assert refreshed(call, other["refresh_token"]).status_code == 200


def test_of_two_refreshes_at_once_with_one_token_one_succeeds(call: Call) -> None:
    token = signed_up(call)["refresh_token"]
    with ThreadPoolExecutor(4) as pool:
        responses = list(pool.map(lambda _: refreshed(call, token), range(4)))
    assert sorted(response.status_code for response in responses) == [200, 400, 400, 400]


@pytest.mark.parametrize(
    ("scope", "left"),
    [
        ("", (False, False)),
        ("?scope=global", (False, False)),
        ("?scope=local", (False, True)),
        ("?scope=others", (True, False)),
    ],
)
def test_signing_out_ends_the_sessions_of_its_scope(call: Call, scope: str, left: tuple[bool, bool]) -> None:
    email = address()
    mine = signed_up(call, email)
    other = call("POST", "token?grant_type=password", {"email": email, "password": PASSWORD}).get_json()
    somebody = signed_up(call)
    response = call("POST", f"logout{scope}", token=mine["access_token"])
    assert (response.status_code, response.data) == (204, b"")
    assert tuple(refreshed(call, one["refresh_token"]).status_code == 200 for one in (mine, other)) == left
    assert call("GET", "user", token=somebody["access_token"]).status_code == 200


def test_tokens_of_others_and_of_gone_or_banned_users_are_refused(
    stack: Stack, call: Call, db: psycopg.Connection
) -> None:
    email = address()
    made = signed_up(call, email)
    secret = stack.settings.require("supabase_jwt_secret")
    claims = jwt.decode(made["access_token"], secret, ["HS256"], audience="authenticated")

    def signed(key: str = secret, **changes: Any) -> str:
        return jwt.encode({**claims, **changes}, key, "HS256")

    for bad in ("not.a.token", signed(key="x" * 40), signed(exp=1), signed(sub="x"), signed(aud="other")):
        assert code(call("GET", "user", token=bad)) == (403, "bad_jwt")
    # The project's keys and tokens of no session name no user or none that is here.
    assert code(call("GET", "user", token=stack.settings.require("supabase_anon_key"))) == (403, "bad_jwt")
    assert code(call("GET", "user", token=signed(sub=str(uuid.uuid4())))) == (403, "user_not_found")
    assert code(call("GET", "user", token=signed(session_id=str(uuid.uuid4())))) == (403, "session_not_found")
    assert code(call("GET", "user")) == (401, "no_authorization")

    db.execute("update auth.users set banned_until = now() + interval '1 hour' where email = %s", [email])
    banned = call("POST", "token?grant_type=password", {"email": email, "password": PASSWORD})
    assert code(banned) == (400, "user_banned")
    assert code(refreshed(call, made["refresh_token"])) == (400, "user_banned")
    db.execute("delete from auth.users where email = %s", [email])
    assert code(refreshed(call, made["refresh_token"])) == (400, "refresh_token_not_found")
    assert code(call("GET", "user", token=made["access_token"])) == (403, "user_not_found")
