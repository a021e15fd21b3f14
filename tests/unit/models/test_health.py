"""What doctor is expected about the providers."""

import pytest
import requests

from pixelbloom.models.health import huggingface_status, ollama_status
from pixelbloom.models.request import Message, ModelRequest
from tests.waiting import SECONDS


def test_an_ollama_with_every_model_is_ok(world):
    status = ollama_status(world.settings())

    assert status.ok
    assert status.version == "0.12.3"
    assert "mistral:7b" in status.installed


def test_missing_models_are_reported_with_their_pull_commands(world):
    world.ollama.models = ("llama3.1:8b",)

    status = ollama_status(world.settings())

    assert status.reachable
    assert status.missing == ("mistral:7b", "codellama:latest")
    assert "ollama pull mistral:7b && ollama pull codellama:latest" in status.advice


def test_only_the_operators_model_is_required_if_it_is_set(world):
    world.ollama.models = ("llama3:latest",)

    assert ollama_status(world.settings(ollama_model="llama3")).ok
    assert ollama_status(world.settings(ollama_model="phi3:mini")).missing == ("phi3:mini",)


def test_an_unreachable_ollama_is_reported_with_advice(world):
    world.ollama.stop()

    status = ollama_status(world.settings())

    assert not status.reachable
    assert "ollama serve" in status.advice


def test_another_server_at_that_address_is_reported(world):
    status = ollama_status(world.settings(ollama_host=world.huggingface.url))

    assert not status.reachable
    assert "OLLAMA_HOST" in status.advice


@pytest.mark.parametrize(
    ("changes", "ok", "expected"),
    [
        ({}, True, None),
        ({"huggingface_api_key": None}, False, "HUGGINGFACE_API_KEY is not set"),
        ({"huggingface_api_key": "hf_wrong"}, False, "refuses the key"),
        ({"huggingface_model": "nobody/nothing"}, False, "HUGGINGFACE_MODEL"),
        ({"huggingface_base_url": "http://127.0.0.1:9"}, False, "is unreachable"),
    ],
    ids=["well", "no-key", "wrong-key", "no-model", "down"],
)
def test_huggingface_is_reported_with_advice(world, changes, ok, expected):
    status = huggingface_status(world.settings(**changes))

    assert status.ok is ok
    assert (expected in status.advice) if expected else status.advice is None


def test_a_stand_in_accepts_scripts_over_http_too(world, stream, control):
    requests.post(f"{world.ollama.url}/__script", json={"pieces": ["from", " afar"]}, timeout=SECONDS)

    reply = world.manager().generate(ModelRequest("a", (Message("user", "?"),), "mistral:7b"), control, stream)

    assert reply.text == "from afar"
