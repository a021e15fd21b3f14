from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pixelbloom.auth.tokens import TokenVerifier
from pixelbloom.config import Settings
from tests.unit.auth.jwks_server import JwksServer

API_SECRET = "api-secret-of-the-tests-which-is-long-enough"
SUPABASE_SECRET = "supabase-secret-of-the-tests-long-enough-too"

Sign = Callable[..., str]


@pytest.fixture
def jwks_server() -> Iterator[JwksServer]:
    with JwksServer() as server:
        yield server


@pytest.fixture
def settings(jwks_server: JwksServer) -> Settings:
    return Settings(supabase_url=jwks_server.url, supabase_jwt_secret=SUPABASE_SECRET, api_jwt_secret=API_SECRET)


@pytest.fixture
def verifier(settings: Settings) -> TokenVerifier:
    return TokenVerifier(settings)


@pytest.fixture
def sign(settings: Settings) -> Callable[..., str]:
    """Sign claims, by default a good Supabase user's with some of them changed or, where None, left out."""
    import time
    from uuid import uuid4

    import jwt

    def make(
        key: Any = SUPABASE_SECRET,
        algorithm: str = "HS256",
        headers: dict[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        claims = {
            "sub": str(uuid4()),
            "role": "authenticated",
            "aud": "authenticated",
            "iss": f"{settings.supabase_url}/auth/v1",
            "exp": int(time.time()) + 600,
            **changes,
        }
        present = {name: value for name, value in claims.items() if value is not None}
        return jwt.api_jws.encode(_json(present), key, algorithm=algorithm, headers=headers)

    return make


def _json(claims: dict[str, Any]) -> bytes:
    import json

    return json.dumps(claims).encode()
