"""The status of the model providers and of Stripe on the console's first screen."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.integration.http import Api
from tests.servers.huggingface import HuggingFaceServer
from tests.servers.ollama import OllamaServer
from tests.stack import Stack


@contextmanager
def web(stack: Stack, **env: str) -> Iterator[Api]:
    process = stack.start("web", env=env)
    try:
        yield Api(process.url, None, stack.settings)
    finally:
        process.kill()


def test_without_a_provider_the_rules_are_used_and_the_status_needs_a_token(stack: Stack) -> None:
    with web(stack) as api:
        assert api.get("/console/status").status_code == 401
        found = api.as_user().get("/console/status").json()
    assert found == {
        "models": {
            "ollama": {"status": "unavailable", "detail": "it is unreachable"},
            "huggingface": {"status": "off", "detail": "HUGGINGFACE_API_KEY is not set"},
        },
        "answering": "fallback",
        "stripe": "off",
    }


@pytest.mark.parametrize(("key", "mode"), [("sk_test_x", "test"), ("rk_live_x", "live")])
def test_the_first_usable_provider_is_shown(stack: Stack, key: str, mode: str) -> None:
    with (
        OllamaServer() as ollama,
        HuggingFaceServer() as huggingface,
        web(
            stack,
            OLLAMA_HOST=ollama.url,
            HUGGINGFACE_API_KEY="hf_x",
            HUGGINGFACE_BASE_URL=f"{huggingface.url}/v1",
            STRIPE_API_KEY=key,
        ) as api,
    ):
        response = api.as_user().get("/console/status")
    found = response.json()
    assert found["models"]["ollama"] == {"status": "ok", "detail": "version 0.12.3, 4 models"}
    assert found["models"]["huggingface"]["status"] in ("ok", "warning")
    assert (found["answering"], found["stripe"]) == ("ollama", mode)
    for secret in (ollama.url, huggingface.url, key, "hf_x"):
        assert secret not in response.text
