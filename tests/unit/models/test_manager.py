"""ModelManager against servers that speak the providers' protocols, and break them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel, Field
from structlog.testing import capture_logs

from pixelbloom.errors import ModelsUnavailable, StepCancelled, StepTimeout
from pixelbloom.models.control import CallControl
from pixelbloom.models.manager import ModelManager
from pixelbloom.models.request import Message, ModelRequest, NullStream
from tests.servers.script import PROSE, Script

REQUEST = ModelRequest(
    agent_type="chat_agent",
    messages=(Message("system", "Be kind."), Message("user", "Hello?")),
    model="llama3.1:8b",
    temperature=0.2,
    max_tokens=99,
)


class Verdict(BaseModel):
    word: str = Field(max_length=20)
    points: int = Field(ge=0, le=10)


GOOD = Script(text='{"word": "fine", "points": 7}')
BAD = Script(text="I would rather not say.")


# Ollama works


def test_a_reply_is_streamed_in_pieces_with_its_tokens_counted(world, control, stream):
    world.ollama.play(Script(pieces=["Hel", "lo", " there"]))

    reply = world.manager().generate(REQUEST, control, stream)

    assert (reply.text, reply.provider, reply.model) == ("Hello there", "ollama", "llama3.1:8b")
    assert stream.pieces == ["Hel", "lo", " there"]
    assert (reply.prompt_tokens, reply.completion_tokens) == (3, 3)
    assert world.outcomes == [("ollama", "ok")]
    assert stream.restarts == 0


def test_ollama_is_asked_with_the_settings_of_the_operator_and_the_request(world, control, stream):
    world.manager(ollama_keep_alive="3m").generate(REQUEST, control, stream)

    body = world.ollama.requests[0]["body"]
    assert body["model"] == "llama3.1:8b"
    assert body["keep_alive"] == "3m"
    assert (body["options"]["temperature"], body["options"]["num_predict"]) == (0.2, 99)
    assert body["messages"][0] == {"role": "system", "content": "Be kind."}


def test_the_configured_temperature_is_used_if_the_request_has_none(world, control, stream):
    request = ModelRequest("chat_agent", REQUEST.messages, "llama3.1:8b")

    world.manager(ollama_temperature=0.1).generate(request, control, stream)

    assert world.ollama.requests[0]["body"]["options"]["temperature"] == 0.1


def test_ollama_model_set_by_the_operator_overrides_the_agents_own(world, control, stream):
    reply = world.manager(ollama_model="mistral:7b").generate(REQUEST, control, stream)

    assert reply.model == world.ollama.requests[0]["body"]["model"] == "mistral:7b"


def test_the_default_model_is_llama3(world, control, stream):
    request = ModelRequest("chat_agent", REQUEST.messages, "")

    assert world.manager().generate(request, control, stream).model == "llama3"


def test_json_is_requested_with_a_schema_and_validated(world, control, stream):
    world.ollama.play(GOOD)

    verdict, reply = world.manager().generate_json(REQUEST, Verdict, control, stream)

    assert verdict == Verdict(word="fine", points=7)
    assert reply.provider == "ollama"
    form = world.ollama.requests[0]["body"]["format"]
    assert form["required"] == ["word", "points"]
    assert form["properties"]["word"] == {"type": "string"}


def test_json_inside_a_code_fence_is_accepted(world, control, stream):
    world.ollama.play(Script(text='Here you are:\n```json\n{"word": "ok", "points": 1}\n```'))

    assert world.manager().generate_json(REQUEST, Verdict, control, stream)[0].points == 1


@pytest.mark.parametrize(
    "bad",
    [
        "I would rather not say.",
        '{"word": "fine"',
        '{"word": "fine", "points": 70}',
        '{"word": "fine", "points": NaN}',
        '{"word": "fine", "points": 1e999}',
        '{"word": "' + "x" * 21 + '", "points": 1}',
        "[" * 5000 + "{}",
        '{"points": ' + "9" * 5000 + ', "word": "a"}',
        '{"a":' * 20_000 + "1" + "}" * 20_000,
        "   ",
    ],
    ids=["prose", "cut", "range", "nan", "inf", "long", "brackets", "digits", "deep", "blank"],
)
def test_an_invalid_json_reply_is_requested_once_more(world, control, stream, bad):
    world.ollama.play(Script(pieces=[bad]), GOOD)

    verdict, reply = world.manager().generate_json(REQUEST, Verdict, control, stream)

    assert (verdict.points, reply.provider) == (7, "ollama")
    assert world.outcomes == [("ollama", "invalid"), ("ollama", "ok")]
    assert stream.text == GOOD.text
    assert "cannot be used" in world.ollama.requests[1]["body"]["messages"][-1]["content"]


def test_after_two_invalid_replies_the_next_provider_is_used(world, control, stream):
    world.ollama.play(BAD, BAD)
    world.huggingface.play(GOOD)

    _, reply = world.manager().generate_json(REQUEST, Verdict, control, stream)

    assert reply.provider == "huggingface"
    assert world.outcomes == [("ollama", "invalid"), ("ollama", "invalid"), ("huggingface", "ok")]
    assert stream.restarts == 2
    assert len(world.huggingface.requests[0]["body"]["messages"]) == 2


def test_nul_and_lone_surrogates_of_a_model_are_cleaned(world, control, stream):
    world.ollama.play(Script(pieces=["a\0b", "\ud83d", "c"]), Script(text='{"word": "a\\u0000\\udc00b", "points": 1}'))
    manager = world.manager()

    prose = manager.generate(REQUEST, control, stream)
    verdict, _ = manager.generate_json(REQUEST, Verdict, control, stream)

    for text in (prose.text, stream.text, verdict.word):
        assert "\0" not in text
        text.encode()
    assert prose.text == "ab\ufffdc"
    assert verdict.word == "a\ufffdb"


def test_an_endless_reply_is_cut_off(world, control, stream):
    world.ollama.play(Script(pieces=["x" * 50_000] * 8))

    assert world.manager().generate(REQUEST, control, stream).provider == "huggingface"
    assert "too long" in (world.calls[0].error or "")


# Ollama fails, HuggingFace works


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


def test_a_hang_before_the_first_byte_leaves_time_for_huggingface(world, control, stream):
    world.ollama.play(Script(hang=True))

    reply = world.manager(model_timeout=0.2).generate(REQUEST, control, stream)

    assert reply.provider == "huggingface"
    assert world.outcomes[0] == ("ollama", "timeout")


def test_a_hang_in_the_middle_leaves_time_for_huggingface(world, control, stream):
    world.ollama.play(Script(hang_after=2))

    assert world.manager(model_timeout=0.3).generate(REQUEST, control, stream).provider == "huggingface"
    assert world.outcomes[0] == ("ollama", "timeout")


def test_slow_tokens_do_not_exceed_the_timeout_of_the_call(world, control, stream):
    world.ollama.play(Script(pieces=["x"] * 1000, delay=0.05))

    assert world.manager(model_timeout=0.3).generate(REQUEST, control, stream).provider == "huggingface"
    assert world.outcomes[0] == ("ollama", "timeout")


def test_a_short_step_still_gives_each_provider_its_share(world, stream):
    world.ollama.play(Script(hang=True))

    reply = world.manager(model_timeout=3600).generate(REQUEST, CallControl(1.5), stream)

    assert reply.provider == "huggingface"


# HuggingFace


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


def test_a_hanging_huggingface_times_out(world, control, stream):
    world.ollama.stop()
    world.huggingface.play(Script(hang_after=1))

    with pytest.raises(ModelsUnavailable):
        world.manager(model_timeout=0.2).generate(REQUEST, control, stream)

    assert world.outcomes[1] == ("huggingface", "timeout")


def test_without_a_key_huggingface_is_not_called(world, control, stream):
    world.ollama.stop()

    with pytest.raises(ModelsUnavailable):
        world.manager(huggingface_api_key=None).generate(REQUEST, control, stream)

    assert world.huggingface.requests == []


# The step ends


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


# Breakers


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


def test_eight_threads_share_a_manager_and_none_waits_for_another(world):
    """All eight calls must be inside of Ollama at once: the barrier opens only then."""
    together = threading.Barrier(8, timeout=60)
    world.ollama.always(Script(pieces=["a", "b"]))
    manager = world.manager()

    class Meeting(NullStream):
        met = False

        def token(self, text: str) -> None:
            if not self.met:
                self.met = True
                together.wait()

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: manager.generate(REQUEST, CallControl(60), Meeting()), range(16)))

    assert {(reply.text, reply.provider) for reply in replies} == {("ab", "ollama")}
    assert len(world.calls) == 16


# Metrics and bounds


def test_each_attempt_is_recorded_with_its_run(world, control, stream):
    run_id = uuid4()
    world.ollama.play(Script(status=500, error="boom"))
    request = ModelRequest("lead_agent", REQUEST.messages, "llama3.1:8b", run_id=run_id)

    world.manager().generate(request, control, stream)

    first, second = world.calls
    assert (first.run_id, first.agent_type, first.model, first.outcome) == (
        run_id,
        "lead_agent",
        "llama3.1:8b",
        "error",
    )
    assert "boom" in (first.error or "")
    assert first.latency_ms >= 0
    assert (second.provider, second.error) == ("huggingface", None)
    assert second.completion_tokens > 0


def test_a_failing_recorder_does_not_fail_the_run(world, control, stream):
    def record(call: Any) -> None:
        raise RuntimeError("no database")

    with capture_logs() as logs:
        reply = ModelManager(world.settings(), record).generate(REQUEST, control, stream)

    assert reply.provider == "ollama"
    assert any(line["event"] == "model_call_not_recorded" for line in logs)


def test_a_prompt_of_any_size_is_sent_within_bounds(world, control, stream):
    history = [Message("user" if i % 2 else "assistant", f"{i} " + "x" * 4000) for i in range(50)]
    messages = (Message("system", "RULES"), *history, Message("user", "LAST " + "y" * 30_000 + " END"))

    world.manager().generate(ModelRequest("chat_agent", messages, "llama3.1:8b"), control, stream)

    sent = world.ollama.requests[0]["body"]["messages"]
    assert sum(len(message["content"]) for message in sent) <= 18_000
    assert sent[0]["content"] == "RULES"
    assert sent[-1]["content"].startswith("LAST")
    assert sent[-1]["content"].endswith("END")


def test_no_thread_outlives_its_call(world, control, stream):
    world.manager().generate(REQUEST, control, stream)

    assert not [
        thread
        for thread in threading.enumerate()
        if isinstance(thread, threading.Timer) and not thread.finished.is_set()
    ]
