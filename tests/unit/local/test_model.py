"""When the local stack starts its model for demonstration."""

import pytest

from pixelbloom.errors import ConfigurationError
from pixelbloom.local import model
from pixelbloom.local.preconditions import check_given


def test_it_starts_only_if_requested_and_no_ollama_is_reachable(world):
    local = world.settings(pixelbloom_model="local")
    assert not model.wanted(local)

    world.ollama.stop()

    assert model.wanted(local)
    assert not model.wanted(world.settings())


def test_without_its_packages_the_stack_names_the_install_command(world, monkeypatch):
    monkeypatch.setattr("importlib.util._find_spec", lambda name, path: None)
    settings = type(world.settings())(_env_file=None, pixelbloom_model="local")

    with pytest.raises(ConfigurationError, match="make model"):
        check_given(settings)


def test_its_settings_use_loopback_with_a_new_key_each_time(world):
    settings = world.settings(pixelbloom_model="local", model_port=11700)
    first, second = model.command(settings), model.command(settings)

    found = model.settings(settings, first)

    assert found["HUGGINGFACE_BASE_URL"] == "http://127.0.0.1:11700/v1"
    assert found["HUGGINGFACE_MODEL"] == model.NAME
    assert first.env["HUGGINGFACE_API_KEY"] == found["HUGGINGFACE_API_KEY"] != second.env["HUGGINGFACE_API_KEY"]
    assert found["HUGGINGFACE_API_KEY"] not in " ".join(first.argv)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"huggingface_api_key": None, "ollama_host": "http://127.0.0.1:9"}, "make model"),
        ({"huggingface_api_key": None}, "Ollama at"),
        ({}, "then HuggingFace"),
    ],
    ids=["none", "ollama", "both"],
)
def test_the_banner_names_the_available_models(world, changes, said):
    assert said in model.banner(world.settings(**changes), running=False)
