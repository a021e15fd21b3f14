"""The circuit breaker of a provider."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pixelbloom.errors import ModelsUnavailable, StepCancelled
from pixelbloom.models.control import CallControl
from pixelbloom.models.request import ModelRequest, NullStream
from tests.servers.script import Script
from tests.unit.models.requests import BAD, REQUEST, Verdict


def test_five_failures_in_a_row_open_the_breaker_and_ollama_is_skipped(world, control, stream):
    world.ollama.always(Script(status=500))
    manager = world.manager()

    for _ in range(7):
        assert manager.generate(REQUEST, control, stream).provider == "huggingface"

    assert manager.breakers["ollama"].is_open
    assert len(world.ollama.requests) == 5
    assert world.outcomes.count(("ollama", "error")) == 5


def test_after_the_timeout_one_trial_call_closes_the_breaker(world, control, stream):
    world.ollama.play(*[Script(status=500)] * 5)
    manager = world.manager()
    for _ in range(5):
        manager.generate(REQUEST, control, stream)
    manager.breakers["ollama"].retry_after = 0

    assert manager.generate(REQUEST, control, stream).provider == "ollama"
    assert not manager.breakers["ollama"].is_open


def test_a_trial_that_fails_opens_the_breaker_again(world, control, stream):
    world.ollama.always(Script(status=500))
    manager = world.manager()
    for _ in range(5):
        manager.generate(REQUEST, control, stream)
    breaker = manager.breakers["ollama"]
    breaker.retry_after = 0
    manager.generate(REQUEST, control, stream)
    breaker.retry_after = 60

    manager.generate(REQUEST, control, stream)

    assert breaker.is_open
    assert len(world.ollama.requests) == 6


def test_only_one_trial_call_at_a_time_reaches_a_failed_provider(world, stream):
    world.ollama.play(*[Script(status=500)] * 5)
    manager = world.manager()
    for _ in range(5):
        manager.generate(REQUEST, CallControl(60), NullStream())
    manager.breakers["ollama"].retry_after = 0
    world.ollama.play(Script(pieces=["a", "b"], hang_after=1))
    trial, tried = CallControl(60), threading.Event()
    stream.on_token = lambda piece: tried.set()

    with ThreadPoolExecutor(1) as pool:
        trying = pool.submit(manager.generate, REQUEST, trial, stream)
        assert tried.wait(60)
        others = [manager.generate(REQUEST, CallControl(60), NullStream()).provider for _ in range(3)]
        trial.stop(StepCancelled("enough"))
        with pytest.raises(StepCancelled):
            trying.result(60)

    assert others == ["huggingface"] * 3
    # A cancelled trial says nothing about the provider: the next call tries again.
    assert manager.generate(REQUEST, CallControl(60), NullStream()).provider == "ollama"


@pytest.mark.parametrize("cause", ["model", "json", "request", "cancel"])
def test_errors_not_caused_by_the_provider_do_not_open_its_breaker(world, stream, cause):
    manager = world.manager()
    for _ in range(6):
        control = CallControl(60)
        match cause:
            case "model":
                manager.generate(ModelRequest("a", REQUEST.messages, "phi3:mini"), control, NullStream())
            case "request":
                world.ollama.play(Script(status=400))
                manager.generate(REQUEST, control, NullStream())
            case "json":
                world.ollama.play(BAD, BAD)
                manager.generate_json(REQUEST, Verdict, control, NullStream())
            case _:
                stream.on_token = lambda piece, control=control: control.stop(StepCancelled("no"))
                with pytest.raises(StepCancelled):
                    manager.generate(REQUEST, control, stream)

    assert not manager.breakers["ollama"].is_open


def test_a_refused_key_opens_the_breaker_of_huggingface(world, control, stream):
    world.ollama.stop()
    manager = world.manager(huggingface_api_key="hf_wrong")

    for _ in range(6):
        with pytest.raises(ModelsUnavailable):
            manager.generate(REQUEST, control, stream)

    assert len(world.huggingface.requests) == 5
