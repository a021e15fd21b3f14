"""Compressed responses: which, for whom, and with the headers that belong to them."""

from uuid import UUID, uuid4

import psycopg
import pytest

from pixelbloom.web.http.compression import MIN_BYTES
from tests.integration.http import Api
from tests.stack import Stack


@pytest.fixture(scope="module")
def user(web: Api, stack: Stack) -> Api:
    """Somebody with 60 leads."""
    user = web.as_user()
    with psycopg.connect(stack.database_url, autocommit=True) as db:
        db.execute(
            "insert into leads (user_id, name, message) select %s, 'Ada ' || n, repeat('A new website. ', 20)"
            " from generate_series(1, 60) n",
            [user.user_id],
        )
    return user


def accepts(coding: str) -> dict[str, str]:
    return {"Accept-Encoding": coding}


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("br", "br"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip;q=1, br;q=0.5", "gzip"),
        ("identity", None),
        ("deflate", None),
        ("gzip;q=0", None),
        ("br; q=0, gzip; q=0.1", "gzip"),
        ("*", "br"),
        ("br;q=0, *;q=0.5", "gzip"),
        ("", None),
    ],
)
def test_a_large_response_has_the_coding_that_the_client_prefers(user: Api, accepted: str, coding: str | None) -> None:
    plain = user.get("/api/leads?limit=60", headers=accepts("identity"))
    response = user.get("/api/leads?limit=60", headers=accepts(accepted))

    assert response.headers.get("Content-Encoding") == coding
    assert "Accept-Encoding" in response.headers["Vary"]
    assert "Origin" in response.headers["Vary"]
    assert response.json() == plain.json()
    sizes = int(response.headers["Content-Length"]), int(plain.headers["Content-Length"])
    assert sizes[0] * 3 < sizes[1] if coding else sizes[0] == sizes[1]


def test_head_has_the_headers_of_get(user: Api) -> None:
    asked = user.get("/api/leads?limit=60", headers=accepts("gzip")).headers
    headers = user.request("HEAD", "/api/leads?limit=60", headers=accepts("gzip")).headers

    for name in ("Content-Encoding", "Vary", "Content-Type"):
        assert headers[name] == asked[name]


def test_the_version_of_a_compressed_row_guards_its_change(user: Api, db: psycopg.Connection) -> None:
    [lead] = user.get("/api/leads?limit=1").json()["items"]
    path = f"/api/leads/{lead['lead_id']}"
    db.execute("update leads set message = repeat('A new website. ', 300) where id = %s", [UUID(lead["lead_id"])])
    version = user.get(path).json()["version"]
    seen = {coding: user.get(path, headers=accepts(coding)).headers["ETag"] for coding in ("gzip", "br", "identity")}

    assert seen == {"gzip": f'"{version}:gzip"', "br": f'"{version}:br"', "identity": f'"{version}"'}
    stale = '"999:gzip"'
    assert user.request("PATCH", path, json={"company": "A"}, headers={"If-Match": stale}).status_code == 409
    assert user.request("PATCH", path, json={"company": "A"}, headers={"If-Match": seen["gzip"]}).status_code == 200
    assert user.request("PATCH", path, json={"company": "B"}, headers={"If-Match": seen["br"]}).status_code == 409


def test_small_reflected_and_secret_responses_are_not_compressed(web: Api, user: Api) -> None:
    for response in (
        web.get("/healthz", headers=accepts("gzip")),
        user.get(f"/api/leads?{'&'.join(f'parameter_of_nobody_{n:03}' for n in range(300))}", headers=accepts("gzip")),
        user.get("/api/agents/webhooks/secret", headers=accepts("gzip")),
        web.request("POST", "/api/visitors/sessions", headers=accepts("gzip")),
        user.get(f"/api/agents/runs/{uuid4()}", headers=accepts("gzip")),
    ):
        assert "Content-Encoding" not in response.headers
        assert len(response.content) < MIN_BYTES or response.status_code == 400


def test_pages_documents_and_metrics_are_compressed(web: Api) -> None:
    service = web.as_service()
    for path in ("/api/openapi.json", "/metrics", "/api/agents"):
        assert service.get(path, headers=accepts("gzip")).headers["Content-Encoding"] == "gzip", path
    numbers = service.get("/metrics", headers={**accepts("gzip"), "Accept": "application/openmetrics-text"})
    assert numbers.text.rstrip().endswith("# EOF")
