"""A provider that fails, hangs or has no key: the next one is used, or the error says why."""

import pytest
from structlog.testing import capture_logs

from pixelbloom.errors import ModelsUnavailable
from pixelbloom.models.control import CallControl
from pixelbloom.models.request import ModelRequest
from tests.servers.script import PROSE, Script
from tests.unit.models.requests import GOOD, REQUEST, Verdict


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        (Script(status=500, error="model requires more system memory"), "error"),
        (Script(status=503, error="server busy"), "error"),
        (Script(status=404, error="model 'x' not found"), "error"),
        (Script(status=302, headers=(("Location", "http://127.0.0.1:9/"),)), "error"),
        (Script(break_after=2), "error"),
        (Script(break_after=0), "error"),
        (Script(error_after=2), "error"),
        (Script(error_after=0), "error"),
        (Script(garbage_after=1), "error"),
        (Script(pieces=["a", "b"], unfinished=True), "error"),
        (Script(pieces=[""]), "invalid"),
    ],
    ids=["500", "503", "404", "302", "broken", "reset", "error-in-stream", "error-first", "garbage", "cut", "empty"],
)
def test_when_ollama_fails_huggingface_is_used_and_the_switch_is_logged(world, control, stream, script, outcome):
    world.ollama.play(script)

    with capture_logs() as logs:
        reply = world.manager().generate(REQUEST, control, stream)

    assert (reply.text, reply.provider) == (PROSE, "huggingface")
    assert reply.model == "meta-llama/Llama-3.1-8B-Instruct"
    assert reply.completion_tokens > 0
    assert stream.text == PROSE
    assert world.outcomes == [("ollama", outcome), ("huggingface", "ok")]
    [switch] = [line for line in logs if line["event"] == "model_provider_switched"]
    assert (switch["from_provider"], switch["to_provider"]) == ("ollama", "huggingface")
    assert switch["log_level"] == "warning"


def test_a_missing_model_is_reported_with_its_pull_command(world, control, stream):
    request = ModelRequest("chat_agent", REQUEST.messages, "phi3:mini")

    world.manager().generate(request, control, stream)

    assert "ollama pull phi3:mini" in (world.calls[0].error or "")


def test_a_refused_connection_is_reported_as_unreachable(world, control, stream):
    world.ollama.stop()

    assert world.manager().generate(REQUEST, control, stream).provider == "huggingface"
    assert world.outcomes[0] == ("ollama", "refused")


def test_a_partial_reply_is_discarded_on_the_stream(world, control, stream):
    world.ollama.play(Script(pieces=["half ", "an "], break_after=2))

    world.manager().generate(REQUEST, control, stream)

    assert stream.restarts == 1
    assert "half" not in stream.text


@pytest.mark.long
def test_a_hang_before_the_first_byte_leaves_time_for_huggingface(world, control, stream):
    world.ollama.play(Script(hang=True))

    reply = world.manager(model_timeout=5).generate(REQUEST, control, stream)

    assert reply.provider == "huggingface"
    assert world.outcomes[0] == ("ollama", "timeout")


@pytest.mark.long
def test_a_hang_in_the_middle_leaves_time_for_huggingface(world, control, stream):
    world.ollama.play(Script(hang_after=2))

    assert world.manager(model_timeout=5).generate(REQUEST, control, stream).provider == "huggingface"
    assert world.outcomes[0] == ("ollama", "timeout")


@pytest.mark.long
def test_slow_tokens_do_not_exceed_the_timeout_of_the_call(world, control, stream):
    world.ollama.play(Script(pieces=["x"] * 1000, delay=0.05))

    assert world.manager(model_timeout=5).generate(REQUEST, control, stream).provider == "huggingface"
    assert world.outcomes[0] == ("ollama", "timeout")


@pytest.mark.long
def test_a_short_step_still_gives_each_provider_its_share(world, stream):
    world.ollama.play(Script(hang=True))

    reply = world.manager(model_timeout=3600).generate(REQUEST, CallControl(1.5), stream)

    assert reply.provider == "huggingface"


def test_huggingface_gets_a_chat_completions_request(world, control, stream):
    world.ollama.stop()
    world.huggingface.play(GOOD)

    world.manager().generate_json(REQUEST, Verdict, control, stream)

    asked = world.huggingface.requests[0]
    assert asked["path"] == "/v1/chat/completions"
    assert asked["headers"]["Authorization"] == "Bearer hf_test"
    body = asked["body"]
    assert (body["stream"], body["max_tokens"], body["temperature"]) == (True, 99, 0.2)
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["word", "points"]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (Script(status=401, error="Invalid username or password."), "HUGGINGFACE_API_KEY"),
        (Script(status=404, error="no such model"), "does not serve"),
        (Script(status=400, error="bad schema"), "bad schema"),
        (Script(status=429, error="slow down"), "429"),
        (Script(status=503, error="loading"), "loading"),
        (Script(break_after=3), "broke"),
        (Script(error_after=2), "overloaded"),
        (Script(garbage_after=2), "could not be parsed"),
        (Script(pieces=["a"], unfinished=True), "ended early"),
    ],
    ids=["401", "404", "400", "429", "503", "broken", "error-in-stream", "garbage", "cut"],
)
def test_when_both_fail_an_error_is_raised_and_the_stream_is_empty(world, control, stream, script, expected):
    world.ollama.stop()
    world.huggingface.play(script)

    with capture_logs() as logs, pytest.raises(ModelsUnavailable):
        world.manager().generate(REQUEST, control, stream)

    assert expected in (world.calls[1].error or "")
    assert "hf_test" not in str(world.calls) + str(logs)
    assert stream.text == ""
    switches = [line["to_provider"] for line in logs if line["event"] == "model_provider_switched"]
    assert switches == ["huggingface", "fallback"]


def test_an_unreachable_huggingface_is_recorded_as_refused(world, control, stream):
    world.ollama.stop()
    world.huggingface.stop()

    with pytest.raises(ModelsUnavailable):
        world.manager().generate(REQUEST, control, stream)

    assert world.outcomes == [("ollama", "refused"), ("huggingface", "refused")]


@pytest.mark.long
def test_a_hanging_huggingface_times_out(world, control, stream):
    world.ollama.stop()
    world.huggingface.play(Script(hang_after=1))

    with pytest.raises(ModelsUnavailable):
        world.manager(model_timeout=2).generate(REQUEST, control, stream)

    assert world.outcomes[1] == ("huggingface", "timeout")


def test_without_a_key_huggingface_is_not_called(world, control, stream):
    world.ollama.stop()

    with pytest.raises(ModelsUnavailable):
        world.manager(huggingface_api_key=None).generate(REQUEST, control, stream)

    assert world.huggingface.requests == []
