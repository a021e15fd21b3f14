import base64
import json
import time

import pytest

from pixelbloom.client.token import read, seconds_left


def jwt(payload: object) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip('=')}.s"


def test_a_function_is_asked_for_a_token_each_time() -> None:
    tokens = iter(["a", "b"])
    assert [read(lambda: next(tokens)) for _ in range(2)] == ["a", "b"]


def test_a_token_shows_how_long_it_is_valid() -> None:
    left = seconds_left(jwt({"exp": time.time() + 100}))
    assert left is not None
    assert 0 < left <= 100


@pytest.mark.parametrize("token", ["", "a.b", "a.!.c", jwt([]), jwt({}), jwt({"exp": "soon"}), jwt({"exp": None})])
def test_a_token_without_an_expiry_has_no_seconds_left(token: str) -> None:
    assert seconds_left(token) is None
