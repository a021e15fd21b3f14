"""`POST /api/agents/invoke`, over HTTP against the real parts."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import jwt
import psycopg
import pytest

from tests.integration.http import CHAT, Api, is_error, raw
from tests.waiting import SECONDS


@pytest.fixture(scope="module")
def web(stack: Any) -> Iterator[Api]:
    handle = stack.start("web")
    yield Api(handle.url, None, stack.settings)
    handle.kill()


@pytest.fixture(scope="module")
def agents(stack: Any) -> Iterator[Any]:
    handle = stack.start("agents")
    yield handle
    handle.stop()


@pytest.fixture
def user(web: Api) -> Api:
    return web.as_user()


def test_an_accepted_request_is_a_committed_queued_run(user: Api, db: psycopg.Connection) -> None:
    response = user.invoke({**CHAT, "metadata": {"source": "test"}})

    assert response.status_code == 200
    body = response.json()
    run_id = body["request_id"]
    assert body == {"id": run_id, "request_id": run_id, "status": "queued", "error": None}
    row = db.execute(
        "select user_id, agent_type, metadata, correlation_id from public.runs where id = %s", [body["request_id"]]
    ).fetchone()
    assert row == (user.user_id, "chat_agent", {"source": "test"}, response.headers["X-Request-ID"])


def test_the_specs_curl_is_accepted(web: Api) -> None:
    body = {
        "agent_type": "lead_agent",
        "input": {"query": "Find top prospects in SaaS"},
        "metadata": {"source": "dashboard"},
    }

    assert web.as_service().invoke(body).json()["status"] == "queued"


def test_waiting_returns_the_result_of_a_run_that_ends_in_time(user: Api, agents: Any) -> None:
    response = user.invoke(Prefer="wait=60")

    body = response.json()
    assert response.headers["Preference-Applied"] == "wait=60"
    assert (body["status"], body["error"]) == ("completed", None)
    assert body["result"]


def test_waiting_gives_up_when_the_time_is_over(user: Api) -> None:
    response = user.invoke(Prefer="respond-async, wait=1")

    assert response.json()["status"] in ("queued", "running", "completed")
    assert response.headers["Preference-Applied"] == "wait=1"


@pytest.mark.parametrize("prefer", ["wait=abc", "wait=0", "wait=-5", "return=minimal", ";;,="])
def test_a_preference_that_cannot_be_honoured_is_ignored(user: Api, prefer: str) -> None:
    response = user.invoke(Prefer=prefer)

    assert response.status_code == 200
    assert "Preference-Applied" not in response.headers


def test_many_waits_do_not_delay_other_requests(user: Api) -> None:
    with ThreadPoolExecutor(40) as pool:
        waiting = [pool.submit(user.invoke, Prefer="wait=3") for _ in range(40)]
        assert user.get("/healthz").status_code == 200
        assert user.invoke().json()["status"] == "queued"
        assert {future.result(SECONDS).status_code for future in waiting} == {200}


def test_the_same_key_and_body_give_the_same_run(user: Api, db: psycopg.Connection) -> None:
    key = str(uuid4())

    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda _: user.invoke(Idempotency_Key=key).json()["request_id"], range(8)))

    assert len(set(responses)) == 1
    row = db.execute("select count(*) from public.runs where user_id = %s", [user.user_id]).fetchone()
    assert row == (1,)


def test_the_same_key_waits_for_the_run_it_made_before(user: Api, agents: Any) -> None:
    key = str(uuid4())
    first = user.invoke(Idempotency_Key=key, Prefer="wait=60").json()

    assert user.invoke(Idempotency_Key=key, Prefer="wait=60").json() == first


def test_the_same_key_with_another_body_is_a_conflict(user: Api) -> None:
    key = str(uuid4())
    user.invoke(Idempotency_Key=key)

    is_error(user.invoke({**CHAT, "metadata": {"other": 1}}, Idempotency_Key=key), 409, "CONFLICT")


def test_keys_of_different_callers_are_independent(web: Api) -> None:
    key = str(uuid4())

    one, other = (web.as_user().invoke(Idempotency_Key=key).json()["request_id"] for _ in range(2))

    assert one != other


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "\u00e9", "\t"])
def test_an_invalid_key_is_refused(web: Api, user: Api, key: str) -> None:
    head = f"POST /api/agents/invoke HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {user.token}\r\n"
    body = b'{"agent_type": "chat_agent", "input": {"message": "x"}}'
    head += f"Content-Type: application/json\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"

    status, _, _ = raw(web.url, head.encode() + b"Idempotency-Key: " + key.encode() + b"\r\n\r\n" + body)

    assert status == 400


def test_a_user_may_name_only_itself(user: Api) -> None:
    assert user.invoke({**CHAT, "user_id": str(user.user_id)}).status_code == 200
    is_error(user.invoke({**CHAT, "user_id": str(uuid4())}), 403, "FORBIDDEN")


def test_an_administrator_may_name_only_itself_too(web: Api) -> None:
    is_error(web.as_user(admin=True).invoke({**CHAT, "user_id": str(uuid4())}), 403, "FORBIDDEN")


def test_a_service_may_name_anyone_or_nobody(web: Api, db: psycopg.Connection) -> None:
    service, someone = web.as_service(), uuid4()

    named = service.invoke({**CHAT, "user_id": str(someone)}).json()["request_id"]
    nobodys = service.invoke().json()["request_id"]

    rows = dict(db.execute("select id, user_id from public.runs where id = any(%s)", [[named, nobodys]]).fetchall())
    assert rows == {UUID(named): someone, UUID(nobodys): None}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"agent_type": "no_such_agent", "input": {}}, ["agent_type"]),
        ({"input": {}}, ["agent_type"]),
        ({"agent_type": "chat_agent"}, ["input"]),
        ({"agent_type": 5, "input": []}, ["agent_type", "input"]),
        ({"agent_type": "chat_agent", "input": {}}, ["input.message"]),
        ({"agent_type": "chat_agent", "input": {"message": 5}}, ["input.message"]),
        ({**CHAT, "user_id": "somebody"}, ["user_id"]),
        ({**CHAT, "user_id": 5}, ["user_id"]),
        ({**CHAT, "user_id": ""}, ["user_id"]),
        ({**CHAT, "user_id": uuid4().hex}, ["user_id"]),
        ({**CHAT, "metadata": []}, ["metadata"]),
        ({**CHAT, "metadata": {"a": "\x00"}}, ["metadata.a"]),
        ({**CHAT, "metadata": {"a\x00": 1}}, ["metadata"]),
        ({**CHAT, "user": "typo"}, ["user"]),
    ],
)
def test_an_invalid_input_is_named_by_its_field(user: Api, body: Any, fields: list[str]) -> None:
    details = is_error(user.invoke(body), 400, "BAD_REQUEST")["details"]

    assert [detail["field"] for detail in details] == fields


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"{}"',
        b"\xff",
        b'{"agent_type": "chat_agent", "input": {"message": "\xed\xa0\x80"}}',
        b'{"agent_type": "chat_agent", "input": {"message": "\\ud800"}}',
        b'{"agent_type": "chat_agent", "input": {"message": NaN}}',
        b'{"agent_type": "chat_agent", "input": {"message": 1e999}}',
        b'{"agent_type": "chat_agent", "agent_type": "chat_agent", "input": {}}',
        b'{"agent_type": "chat_agent", "input": ' + b'{"a":' * 100 + b"1" + b"}" * 101,
        b"[" * 500_000,
    ],
)
def test_a_malformed_body_is_refused(user: Api, body: bytes) -> None:
    is_error(user.invoke(body), 400, "BAD_REQUEST")


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
def test_another_content_type_is_refused(user: Api, content_type: str) -> None:
    is_error(user.invoke(Content_Type=content_type), 400, "BAD_REQUEST")


def test_a_charset_beside_json_is_accepted(user: Api) -> None:
    assert user.invoke(Content_Type="application/json; charset=utf-8").status_code == 200


def test_the_largest_body_is_one_mebibyte(user: Api) -> None:
    base = b'{"agent_type": "chat_agent", "input": {"message": "x"}}'

    assert user.invoke(base + b" " * (1024 * 1024 - len(base))).status_code == 200
    is_error(user.invoke(base + b" " * (1024 * 1024 - len(base) + 1)), 413, "PAYLOAD_TOO_LARGE")
    is_error(user.invoke(base + b" " * 5_000_000), 413, "PAYLOAD_TOO_LARGE")


def test_a_large_body_without_a_length_is_refused_too(user: Api) -> None:
    def parts() -> Iterator[bytes]:
        yield b'{"agent_type": "chat_agent", "input": {"message": "x"}}'
        for _ in range(40):
            yield b" " * 65536

    response = user.post(parts())

    is_error(response, 413, "PAYLOAD_TOO_LARGE")


def test_a_chunked_body_is_accepted(user: Api) -> None:
    def parts() -> Iterator[bytes]:
        yield b'{"agent_type": "chat_agent", '
        yield b'"input": {"message": "x"}}'

    response = user.post(parts())

    assert response.status_code == 200


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Basic dTpw", "Bearer x", "Bearer a.b.c", "x" * 5000])
def test_without_a_valid_token_the_request_is_not_read(web: Api, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}

    response = web.post(b"{" * 3_000_000, headers)

    is_error(response, 401, "UNAUTHORIZED")
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_forged_tokens_are_refused(web: Api) -> None:
    claims = {"sub": str(uuid4()), "role": "authenticated", "exp": int(time.time()) + 60}
    secret = web.settings.require("supabase_jwt_secret")
    expired = {**claims, "exp": int(time.time()) - 5}
    tokens = [
        jwt.encode(claims, None, "none"),
        jwt.encode(claims, "another secret that is long enough, too", "HS256"),
        jwt.encode(expired, secret, "HS256"),
        jwt.encode({**claims, "nbf": int(time.time()) + 60}, secret, "HS256"),
        jwt.encode({**claims, "iss": "https://elsewhere.example"}, secret, "HS256"),
        jwt.encode({**claims, "aud": "elsewhere"}, secret, "HS256"),
        web.settings.require("supabase_anon_key"),
    ]

    for token in tokens:
        is_error(web.with_token(token).invoke(), 401, "UNAUTHORIZED")


def test_the_anon_key_is_refused_and_the_service_key_is_a_service(web: Api) -> None:
    service = web.with_token(web.settings.require("supabase_service_role_key"))

    assert service.invoke({**CHAT, "user_id": str(uuid4())}).status_code == 200
