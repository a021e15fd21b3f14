"""Forged, changed and malformed tokens are refused."""

import base64
import json
import time
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from pixelbloom.auth.tokens import TokenVerifier
from pixelbloom.errors import Unauthenticated
from tests.unit.auth.conftest import SUPABASE_SECRET, Sign
from tests.unit.auth.jwks_server import JwksServer


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_hash_is_refused_with_the_correct_secret(verifier: TokenVerifier, sign: Sign, algorithm: str) -> None:
    with pytest.raises(Unauthenticated, match="not signed with"):
        verifier.verify(sign(algorithm=algorithm, key=SUPABASE_SECRET * 2))


def test_another_secret_is_refused(verifier: TokenVerifier, sign: Sign) -> None:
    with pytest.raises(Unauthenticated, match="does not verify"):
        verifier.verify(sign("some other secret that is long enough too"))


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", None, "HS256 ", ["HS256"]])
def test_the_algorithm_none_is_refused(verifier: TokenVerifier, sign: Sign, name: object) -> None:
    _, payload, signature = sign().split(".")
    header = _encode({"alg": name, "typ": "JWT"})

    for end in ("", signature):
        with pytest.raises(Unauthenticated):
            verifier.verify(f"{header}.{payload}.{end}")


@pytest.mark.parametrize(
    "token",
    ["", "a", "a.b", "..", "a.b.c", "a.b.c.d", "\x00.\x00.\x00", "é.é.é", "\ud800.a.b", "x" * 9000, "e30.e30."],
)
def test_a_malformed_token_is_refused(verifier: TokenVerifier, token: str) -> None:
    with pytest.raises(Unauthenticated):
        verifier.verify(token)


@pytest.mark.parametrize("payload", [b"[]", b"null", b"{", b"\xff", b"[" * 5000])
def test_a_signed_payload_other_than_an_object_is_refused(verifier: TokenVerifier, payload: bytes) -> None:
    token = jwt.api_jws.encode(payload, SUPABASE_SECRET, algorithm="HS256")

    with pytest.raises(Unauthenticated):
        verifier.verify(token)


def test_a_too_long_token_is_not_parsed(verifier: TokenVerifier, sign: Sign) -> None:
    with pytest.raises(Unauthenticated):
        verifier.verify(sign(padding="x" * 8192))


def test_a_changed_payload_is_refused(verifier: TokenVerifier, sign: Sign) -> None:
    header, _, signature = sign().split(".")
    payload = _encode({"sub": str(uuid4()), "role": "admin", "exp": int(time.time()) + 600})

    with pytest.raises(Unauthenticated, match="does not verify"):
        verifier.verify(f"{header}.{payload}.{signature}")


def test_an_unknown_critical_header_is_refused(verifier: TokenVerifier, sign: Sign) -> None:
    with pytest.raises(Unauthenticated):
        verifier.verify(sign(headers={"crit": ["exp2"], "exp2": 1}))


def test_a_public_key_is_not_accepted_as_a_secret(verifier: TokenVerifier, sign: Sign, jwks_server: JwksServer) -> None:
    """Key confusion: HS256 over a public key of the JWKS."""
    public = jwks_server.add_rsa("r1").public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    header, payload = _encode({"alg": "HS256", "kid": "r1"}), sign().split(".")[1]
    import hashlib
    import hmac

    mac = hmac.new(pem, f"{header}.{payload}".encode(), hashlib.sha256).digest()

    with pytest.raises(Unauthenticated, match="does not verify"):
        verifier.verify(f"{header}.{payload}.{_b64(mac)}")


def test_a_key_in_the_token_is_not_used(verifier: TokenVerifier, sign: Sign, jwks_server: JwksServer) -> None:
    with JwksServer() as other:
        key = other.add_ec("mine")
        headers = {"kid": "mine", "jwk": other.keys[0], "jku": f"{other.url}/auth/v1/.well-known/jwks.json"}
        token = sign(key, "ES256", headers=headers)

        with pytest.raises(Unauthenticated):
            verifier.verify(token)
        assert other.fetches == 0


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _encode(value: object) -> str:
    return _b64(json.dumps(value).encode())
