"""Cancelled and late steps: their calls end at once, and leave no thread."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pixelbloom.errors import StepCancelled, StepTimeout
from pixelbloom.models.control import CallControl
from tests.servers.script import Script
from tests.unit.models.requests import REQUEST


@pytest.mark.parametrize("error", [StepCancelled("cancelled"), StepTimeout("late")], ids=["cancel", "deadline"])
@pytest.mark.parametrize("provider", ["ollama", "huggingface"])
@pytest.mark.parametrize("script", [Script(hang=True), Script(hang_after=0)], ids=["headers", "body"])
def test_stop_wakes_a_read_that_is_blocked(world, stream, provider, script, error):
    """Nothing else would end the read: the server hangs longer than we wait for the result, and no timeout is near."""
    if provider == "huggingface":
        world.ollama.stop()
    server = getattr(world, provider)
    server.play(script)
    asked = threading.Event()
    note = server.note
    server.note = lambda *args: (note(*args), asked.set())
    control = CallControl(7200)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(world.manager(model_timeout=3600).generate, REQUEST, control, stream)
        assert asked.wait(60)
        control.stop(error)
        ended = running.exception(timeout=60)

    assert ended is error
    assert world.outcomes[-1] == (provider, "cancelled" if isinstance(error, StepCancelled) else "timeout")


@pytest.mark.parametrize("provider", ["ollama", "huggingface"])
def test_a_cancelled_step_ends_between_two_tokens(world, control, stream, provider):
    if provider == "huggingface":
        world.ollama.stop()
    getattr(world, provider).play(Script(pieces=["x"] * 500, delay=0.01))
    stream.on_token = lambda piece: control.stop(StepCancelled("cancelled")) if len(stream.pieces) == 3 else None

    with pytest.raises(StepCancelled):
        world.manager().generate(REQUEST, control, stream)

    assert len(stream.pieces) == 3


def test_a_step_past_its_deadline_calls_no_provider(world, stream):
    with pytest.raises(StepTimeout):
        world.manager().generate(REQUEST, CallControl(0), stream)

    assert world.ollama.requests == []


def test_no_thread_outlives_its_call(world, control, stream):
    world.manager().generate(REQUEST, control, stream)

    assert not [
        thread
        for thread in threading.enumerate()
        if isinstance(thread, threading.Timer) and not thread.finished.is_set()
    ]
