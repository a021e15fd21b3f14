"""The local stack's `/auth/v1`: accounts, errors and tokens as Supabase Auth has them."""

from typing import Any

import httpx
import jwt
import psycopg
import pytest

from pixelbloom.auth.tokens import TokenVerifier
from pixelbloom.local.supabase.limits import Rates
from tests.integration.local.supabase.auth import PASSWORD, Call, address, caller, code, gateway, refreshed, signed_up
from tests.stack import Stack
from tests.waiting import SECONDS


def test_a_new_account_is_signed_in_and_signs_in_again_by_its_address_in_any_case(call: Call) -> None:
    email = address()
    made = signed_up(call, email.upper())
    assert made["user"]["email"] == email
    assert made["user"]["email_confirmed_at"].endswith("Z")
    assert made["user"]["app_metadata"] == {"provider": "email", "providers": ["email"]}
    assert made["user"]["user_metadata"]["name"] == "Ada"
    assert made["user"]["identities"][0]["provider"] == "email"
    assert made["token_type"] == "bearer"

    again = call("POST", "token?grant_type=password", {"email": email.title(), "password": PASSWORD}).get_json()
    assert again["user"]["id"] == made["user"]["id"]
    assert again["refresh_token"] != made["refresh_token"]
    shown = call("GET", "user", token=again["access_token"])
    assert shown.get_json() == again["user"]


def test_an_access_token_has_the_claims_of_hosted_supabase_and_verifies_as_one(stack: Stack, call: Call) -> None:
    made = signed_up(call)
    claims = jwt.decode(
        made["access_token"], stack.settings.require("supabase_jwt_secret"), ["HS256"], audience="authenticated"
    )
    assert set(claims) == {
        *("iss", "sub", "aud", "exp", "iat", "email", "phone", "app_metadata", "user_metadata"),
        *("role", "aal", "amr", "session_id", "is_anonymous"),
    }
    assert claims["iss"] == f"{stack.settings.supabase_url}/auth/v1"
    assert claims["exp"] - claims["iat"] == made["expires_in"] == 3600
    assert claims["exp"] == made["expires_at"]
    assert claims["amr"][0]["method"] == "password"
    assert (claims["role"], claims["aal"], claims["is_anonymous"]) == ("authenticated", "aal1", False)
    principal = TokenVerifier(stack.settings).verify(made["access_token"])
    assert (str(principal.user_id), principal.admin) == (made["user"]["id"], False)


@pytest.mark.parametrize("version", [None, "2024-01-01"])
@pytest.mark.parametrize(
    ("path", "body", "status", "expected"),
    [
        ("signup", {"email": "ada@example.com", "password": "short"}, 422, "weak_password"),
        ("signup", {"email": "no address", "password": PASSWORD}, 400, "validation_failed"),
        ("signup", {"email": "ada@example.com"}, 400, "validation_failed"),
        ("signup", {"password": PASSWORD}, 400, "validation_failed"),
        ("signup", {"email": "ada@example.com", "password": "x" * 73}, 400, "validation_failed"),
        ("signup", {"email": "a\x00@example.com", "password": PASSWORD}, 400, "validation_failed"),
        ("signup", {"data": {"a": "\x00"}}, 400, "validation_failed"),
        ("signup", {"phone": "+4930123", "password": PASSWORD}, 400, "phone_provider_disabled"),
        ("signup", {"email": 1, "password": PASSWORD}, 400, "bad_json"),
        ("signup", b"{", 400, "bad_json"),
        ("signup", b"[" * 100_000, 400, "bad_json"),
        ("signup", [1], 400, "bad_json"),
        ("signup", {"email": "a" * 2_000_000}, 413, "request_too_large"),
        ("token?grant_type=password", {"email": "nobody@example.com", "password": "x"}, 400, "invalid_credentials"),
        ("token?grant_type=password", {"password": "x"}, 400, "validation_failed"),
        ("token?grant_type=refresh_token", {"refresh_token": "unknown"}, 400, "refresh_token_not_found"),
        ("token?grant_type=refresh_token", {}, 400, "validation_failed"),
        ("token?grant_type=magic", {}, 400, "invalid_credentials"),
        ("recover", {"email": "ada@example.com"}, 404, "not_found"),
        ("user", {}, 405, "method_not_allowed"),
        ("logout", {}, 401, "no_authorization"),
        ("logout?scope=nobody", {}, 400, "validation_failed"),
    ],
)
def test_a_refusal_has_the_code_that_supabase_js_expects(
    call: Call, version: str | None, path: str, body: Any, status: int, expected: str
) -> None:
    response = call("POST", path, body, **({"X_Supabase_Api_Version": version} if version else {}))
    found = response.get_json()
    assert response.status_code == status
    if version:
        assert (found["code"], response.headers["X-Supabase-Api-Version"]) == (expected, version)
        assert found["message"]
    else:
        assert (found["code"], found["error_code"]) == (status, expected)
        assert found["msg"]
    assert ("weak_password" in found) == (expected == "weak_password")
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "X-Supabase-Api-Version" in response.headers["Access-Control-Expose-Headers"]


def test_an_address_is_one_account_and_an_incorrect_password_is_refused(call: Call) -> None:
    email = address()
    signed_up(call, email)
    taken = call("POST", "signup", {"email": email.upper(), "password": PASSWORD})
    assert code(taken) == (422, "user_already_exists")
    refused = call("POST", "token?grant_type=password", {"email": email, "password": "another"})
    assert code(refused) == (400, "invalid_credentials")


def test_a_user_changes_metadata_address_and_password_and_other_sessions_end_with_the_password(call: Call) -> None:
    email, taken = address(), address()
    signed_up(call, taken)
    mine = signed_up(call, email)
    other = call("POST", "token?grant_type=password", {"email": email, "password": PASSWORD}).get_json()
    token = mine["access_token"]

    changed = call("PUT", "user", {"data": {"name": None, "team": "blue"}}, token=token).get_json()
    assert changed["user_metadata"]["team"] == "blue"
    assert "name" not in changed["user_metadata"]
    assert code(call("PUT", "user", {"app_metadata": {"role": "admin"}}, token=token)) == (403, "not_admin")
    assert code(call("PUT", "user", {"password": PASSWORD}, token=token)) == (422, "same_password")
    assert code(call("PUT", "user", {"password": "short"}, token=token)) == (422, "weak_password")
    assert code(call("PUT", "user", {"email": taken}, token=token)) == (422, "email_exists")

    fresh = address()
    assert call("PUT", "user", {"email": fresh, "password": "another one"}, token=token).get_json()["email"] == fresh
    assert code(refreshed(call, other["refresh_token"])) == (400, "refresh_token_not_found")
    assert refreshed(call, mine["refresh_token"]).status_code == 200
    for tried, status in ((PASSWORD, 400), ("another one", 200)):
        response = call("POST", "token?grant_type=password", {"email": fresh, "password": tried})
        assert response.status_code == status


def test_an_anonymous_user_becomes_a_user_by_an_address_and_a_password(stack: Stack, call: Call) -> None:
    made = call("POST", "signup", {"data": {"cart": 3}}).get_json()
    assert (made["user"]["is_anonymous"], made["user"]["email"], made["user"]["identities"]) == (True, "", [])
    claims = jwt.decode(made["access_token"], options={"verify_signature": False})
    assert (claims["is_anonymous"], claims["amr"][0]["method"]) == (True, "anonymous")

    early = call("PUT", "user", {"password": PASSWORD}, token=made["access_token"])
    assert code(early) == (422, "validation_failed")
    email = address()
    named = call("PUT", "user", {"email": email, "password": PASSWORD}, token=made["access_token"]).get_json()
    assert (named["id"], named["is_anonymous"], named["email"]) == (made["user"]["id"], False, email)
    signed_in = call("POST", "token?grant_type=password", {"email": email, "password": PASSWORD}).get_json()
    assert signed_in["user"]["user_metadata"]["cart"] == 3
    assert jwt.decode(signed_in["access_token"], options={"verify_signature": False})["is_anonymous"] is False


def test_an_address_is_rate_limited(stack: Stack) -> None:
    call = caller(gateway(stack, Rates("2/5 minutes", "2/5 minutes", "1/hour")))
    tries = [call("POST", "token?grant_type=password", {"email": "a@b.co", "password": "x"}) for _ in range(3)]
    assert [response.status_code for response in tries] == [400, 400, 429]
    assert code(tries[2]) == (429, "over_request_rate_limit")
    assert 1 <= int(tries[2].headers["Retry-After"]) <= 300
    assert code(call("POST", "signup", {"email": address(), "password": PASSWORD}))[0] == 429
    assert [refreshed(call, "x").status_code for _ in range(3)] == [400, 400, 429]
    assert [call("POST", "signup", {}).status_code for _ in range(2)] == [200, 429]


def test_passwords_are_stored_as_scrypt_hashes_and_nothing_is_open_to_browsers(
    stack: Stack, call: Call, db: psycopg.Connection
) -> None:
    email = address()
    token = signed_up(call, email)["access_token"]
    row = db.execute("select encrypted_password from auth.users where email = %s", [email]).fetchone()
    assert row is not None
    assert row[0].startswith("scrypt:")
    assert PASSWORD not in row[0]
    for table in ("users", "sessions", "refresh_tokens"):
        response = httpx.get(
            f"{stack.settings.supabase_url}/rest/v1/{table}",
            headers={"Authorization": f"Bearer {token}", "Accept-Profile": "auth"},
            trust_env=False,
            timeout=SECONDS,
        )
        assert response.status_code == 406  # PostgREST serves `public` alone


def test_the_running_gateway_signs_in_and_its_token_reads_rows(stack: Stack) -> None:
    url, anon = stack.settings.require("supabase_url"), stack.settings.require("supabase_anon_key")
    with httpx.Client(base_url=url, headers={"apikey": anon}, trust_env=False, timeout=SECONDS) as http:
        made = http.post("/auth/v1/signup", json={"email": address(), "password": PASSWORD})
        assert made.status_code == 200, made.text
        token = {"Authorization": f"Bearer {made.json()['access_token']}"}
        assert http.get("/auth/v1/user", headers=token).json()["id"] == made.json()["user"]["id"]
        assert http.get("/rest/v1/leads", headers=token).json() == []
        assert http.get("/auth/v1/settings").json()["external"]["email"] is True
        assert http.get("/auth/v1/health").json()["name"]
        assert http.get("/auth/v1/.well-known/jwks.json").json() == {"keys": []}
        assert http.post("/auth/v1/logout", headers=token).status_code == 204
