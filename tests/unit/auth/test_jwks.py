"""Public keys: rotation, outages and slowness of the endpoint."""

import threading
from collections.abc import Callable
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from pixelbloom.auth.jwks import BURST, Jwks, parse
from pixelbloom.auth.tokens import TokenVerifier
from pixelbloom.config import Settings
from pixelbloom.errors import Unauthenticated
from tests.unit.auth.conftest import SUPABASE_SECRET
from tests.unit.auth.jwks_server import JwksServer

Sign = Callable[..., str]


class Clock:
    """A clock that moves when advanced."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jwks(jwks_server: JwksServer, clock: Clock) -> Jwks:
    # With time for a fetch on a slow machine.
    return Jwks(f"{jwks_server.url}/auth/v1/.well-known/jwks.json", wait=60, fetch_seconds=60, clock=clock)


@pytest.fixture
def verifier(settings: Settings, jwks: Jwks) -> TokenVerifier:
    return TokenVerifier(settings, jwks=jwks)


def wait_for_fetch(jwks: Jwks) -> None:
    """Wait for the fetch under way, if any."""
    fetching = jwks._fetching
    if fetching is not None:
        assert fetching.wait(60)


def test_both_kinds_of_keys_verify(verifier: TokenVerifier, sign: Sign, jwks_server: JwksServer) -> None:
    elliptic, rsa = jwks_server.add_ec("e1"), jwks_server.add_rsa("r1")

    assert verifier.verify(sign(elliptic, "ES256", {"kid": "e1"})).kind == "user"
    assert verifier.verify(sign(rsa, "RS256", {"kid": "r1"})).kind == "user"
    assert jwks_server.fetches == 1


def test_a_token_without_a_kid_is_tried_with_the_keys_of_its_algorithm(
    verifier: TokenVerifier, sign: Sign, jwks_server: JwksServer
) -> None:
    jwks_server.add_ec("e0")
    key = jwks_server.add_ec("e1")

    assert verifier.verify(sign(key, "ES256")).kind == "user"


def test_a_token_of_another_key_is_refused(verifier: TokenVerifier, sign: Sign, jwks_server: JwksServer) -> None:
    jwks_server.add_ec("e1")
    with JwksServer() as other:
        foreign = other.add_ec("e1")

    with pytest.raises(Unauthenticated):
        verifier.verify(sign(foreign, "ES256", {"kid": "e1"}))


def test_a_project_key_cannot_sign_a_service_token(
    verifier: TokenVerifier, sign: Sign, jwks_server: JwksServer
) -> None:
    key = jwks_server.add_ec("e1")

    with pytest.raises(Unauthenticated, match="role"):
        verifier.verify(sign(key, "ES256", {"kid": "e1"}, role="service"))


def test_a_rotated_key_is_accepted_at_once_and_the_old_one_refused(
    verifier: TokenVerifier, sign: Sign, jwks_server: JwksServer
) -> None:
    old = jwks_server.add_ec("e1")
    verifier.verify(sign(old, "ES256", {"kid": "e1"}))
    jwks_server.keys = []
    new = jwks_server.add_ec("e2")

    assert verifier.verify(sign(new, "ES256", {"kid": "e2"})).kind == "user"
    with pytest.raises(Unauthenticated):
        verifier.verify(sign(old, "ES256", {"kid": "e1"}))


def test_keys_stay_while_the_endpoint_is_down(
    verifier: TokenVerifier, sign: Sign, jwks: Jwks, jwks_server: JwksServer, clock: Clock
) -> None:
    key = jwks_server.add_ec("e1")
    verifier.verify(sign(key, "ES256", {"kid": "e1"}))
    jwks_server.status = 503
    clock.now += 3600

    verifier.verify(sign(key, "ES256", {"kid": "e1"}))
    wait_for_fetch(jwks)

    assert jwks_server.fetches == 2
    assert verifier.verify(sign(key, "ES256", {"kid": "e1"})).kind == "user"


@pytest.mark.parametrize("body", [b"", b"no json", b"{}", b"[]", b'{"keys": 1}', b'{"keys": []}' + b" " * 300_000])
def test_an_invalid_response_replaces_no_keys(
    verifier: TokenVerifier, sign: Sign, jwks: Jwks, jwks_server: JwksServer, clock: Clock, body: bytes
) -> None:
    key = jwks_server.add_ec("e1")
    verifier.verify(sign(key, "ES256", {"kid": "e1"}))
    jwks_server.body = body
    clock.now += 3600

    verifier.verify(sign(key, "ES256", {"kid": "e1"}))
    wait_for_fetch(jwks)

    assert verifier.verify(sign(key, "ES256", {"kid": "e1"})).kind == "user"


def test_after_a_failure_the_endpoint_is_not_called_for_a_while(
    verifier: TokenVerifier, sign: Sign, jwks_server: JwksServer, clock: Clock
) -> None:
    key = jwks_server.add_ec("e1")
    jwks_server.status = 500
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            verifier.verify(sign(key, "ES256", {"kid": "e1"}))
    assert jwks_server.fetches == 1

    jwks_server.status = 200
    clock.now += 6

    assert verifier.verify(sign(key, "ES256", {"kid": "e1"})).kind == "user"


def test_unknown_keys_cause_few_fetches(
    verifier: TokenVerifier, sign: Sign, jwks_server: JwksServer, clock: Clock
) -> None:
    key = jwks_server.add_ec("e1")
    for _ in range(30):
        with pytest.raises(Unauthenticated):
            verifier.verify(sign(key, "ES256", {"kid": str(uuid4())}))
    assert jwks_server.fetches == BURST

    clock.now += 10
    with pytest.raises(Unauthenticated):
        verifier.verify(sign(key, "ES256", {"kid": "another"}))
    assert jwks_server.fetches == BURST + 1


def test_a_known_key_never_waits_for_the_endpoint(
    verifier: TokenVerifier, sign: Sign, jwks: Jwks, jwks_server: JwksServer, clock: Clock
) -> None:
    key = jwks_server.add_ec("e1")
    verifier.verify(sign(key, "ES256", {"kid": "e1"}))
    jwks_server.open.clear()
    clock.now += 3600

    assert verifier.verify(sign(key, "ES256", {"kid": "e1"})).kind == "user"
    assert jwks._fetching is not None

    jwks_server.open.set()
    wait_for_fetch(jwks)


def test_the_wait_for_an_unknown_key_is_bounded(jwks_server: JwksServer) -> None:
    jwks = Jwks(f"{jwks_server.url}/auth/v1/.well-known/jwks.json", wait=0.05)
    jwks_server.open.clear()

    assert jwks.keys("e1", "ES256") == ()
    assert jwks._fetching is not None

    jwks_server.open.set()
    wait_for_fetch(jwks)


def test_many_at_once_share_one_fetch(jwks: Jwks, jwks_server: JwksServer) -> None:
    jwks_server.add_ec("e1")
    jwks_server.open.clear()
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(jwks.keys("e1", "ES256")))) for _ in range(8)]
    for thread in threads:
        thread.start()
    jwks_server.open.set()
    for thread in threads:
        thread.join(60)

    assert found == [1] * 8
    assert jwks_server.fetches == 1


def test_a_published_secret_or_a_weak_key_is_not_used(jwks_server: JwksServer) -> None:
    import base64
    import json

    jwks_server.add_rsa("weak", 1024)
    jwks_server.add_ec("p384", ec.SECP384R1())
    secret = base64.urlsafe_b64encode(SUPABASE_SECRET.encode()).decode().rstrip("=")
    listed = [
        *jwks_server.keys,
        {"kty": "oct", "k": secret, "kid": "s", "alg": "HS256"},
        {"kty": "EC", "crv": "P-256", "kid": "broken", "x": "AA"},
        {"kty": "RSA", "kid": "enc", "use": "enc", "n": "AQAB", "e": "AQAB"},
        {"kty": ["RSA"]},
        "no key",
    ]

    assert parse(json.dumps({"keys": listed}).encode()) == ()
