"""What providers really send: reasoning, truncated replies, parts, tool calls."""

import pytest
from pydantic import BaseModel, Field

from pixelbloom.agents import registry
from pixelbloom.errors import ModelsUnavailable
from pixelbloom.models.request import Message, ModelRequest
from tests.servers.script import PROSE, Script
from tests.unit.models.replies import REPLIES

REQUEST = ModelRequest(
    agent_type="chat_agent", messages=(Message("user", "Hello?"),), model="llama3.1:8b", max_tokens=99
)


class Verdict(BaseModel):
    word: str = Field(max_length=20)
    points: int = Field(ge=0, le=10)


GOOD = Script(text='{"word": "fine", "points": 7}')


@pytest.fixture(params=["ollama", "huggingface"])
def provider(world, request):
    """One of the two providers, the only available one."""
    if request.param == "huggingface":
        world.ollama.stop()
        return world.huggingface
    world.huggingface.stop()
    return world.ollama


def asked(provider, number: int = 0):
    body = provider.requests[number]["body"]
    return body["options"]["num_predict"] if "options" in body else body["max_tokens"]


# Reasoning


@pytest.mark.parametrize(("sent", "shown"), [pair for pair in REPLIES if pair[1]][:6], ids=range(6))
def test_reasoning_in_the_text_reaches_neither_the_stream_nor_the_result(world, provider, control, stream, sent, shown):
    provider.play(Script(pieces=[sent[at : at + 3] for at in range(0, len(sent), 3)]))

    reply = world.manager().generate(REQUEST, control, stream)

    assert (reply.text, stream.text) == (shown, shown)


def test_reasoning_in_separate_fields_is_not_read(world, provider, control, stream):
    provider.play(Script(thinking=["They greet ", "me."], text="Hello."))

    assert world.manager().generate(REQUEST, control, stream).text == stream.text == "Hello."


def test_json_is_read_behind_the_reasoning(world, provider, control, stream):
    provider.play(Script(pieces=["<think>{", '"word": "no"} ', "</th", 'ink>{"word": "fine", "points": 7}']))

    assert world.manager().generate_json(REQUEST, Verdict, control, stream)[0].points == 7
    assert "no" not in stream.text


def test_ollama_is_asked_not_to_think_unless_a_setting_says_so(world, control, stream):
    world.manager().generate(REQUEST, control, stream)
    world.manager(ollama_think=True).generate(REQUEST, control, stream)

    assert [request["body"]["think"] for request in world.ollama.requests] == [False, True]


@pytest.mark.parametrize("think", [False, True])
def test_a_model_that_rejects_think_is_called_without_it_afterwards(world, control, stream, think):
    world.ollama.unaware = {"llama3.1:8b"}
    manager = world.manager(ollama_think=think)

    for _ in range(2):
        assert manager.generate(REQUEST, control, stream).provider == "ollama"

    assert [request["body"].get("think") for request in world.ollama.requests] == [think, None, None]
    assert world.outcomes == [("ollama", "ok")] * 2


@pytest.mark.parametrize(
    "script",
    [
        Script(thinking=["hm"] * 9, pieces=[""], ended="length"),
        Script(pieces=["<think>", "I wonder ", "and wonder"], ended="length"),
    ],
    ids=["field", "text"],
)
def test_thinking_that_uses_up_the_tokens_is_retried_once_with_more_tokens(world, provider, control, stream, script):
    provider.play(script)

    reply = world.manager().generate(REQUEST, control, stream)

    assert (reply.text, reply.truncated) == (PROSE, False)
    assert (asked(provider, 0), asked(provider, 1)) == (99, 396)
    assert [outcome for name, outcome in world.outcomes if name == reply.provider] == ["invalid", "ok"]


def test_endless_thinking_is_not_retried_a_second_time(world, provider, control, stream):
    provider.always(Script(pieces=["<think>and so on"], ended="length"))

    with pytest.raises(ModelsUnavailable):
        world.manager().generate(REQUEST, control, stream)

    assert len(provider.requests) == 2
    assert stream.text == ""


def test_reasoning_counts_towards_the_limit_of_a_reply(world, control, stream):
    world.ollama.play(Script(pieces=["<think>", *["x" * 50_000] * 8]))

    assert world.manager().generate(REQUEST, control, stream).provider == "huggingface"
    assert "too long" in (world.calls[0].error or "")


def test_a_possible_start_of_a_tag_at_the_end_is_shown(world, provider, control, stream):
    provider.play(Script(pieces=["At most ", "1 <"]))

    assert world.manager().generate(REQUEST, control, stream).text == stream.text == "At most 1 <"


# Cut off


@pytest.mark.parametrize("ended", ["length", "content_filter"])
def test_prose_that_was_cut_off_is_marked(world, control, stream, ended):
    world.ollama.stop()
    world.huggingface.play(Script(text="A small website starts", ended=ended))

    reply = world.manager().generate(REQUEST, control, stream)

    assert (reply.text, reply.truncated) == ("A small website starts", True)
    assert world.outcomes[-1] == ("huggingface", "truncated")
    assert ended in (world.calls[-1].error or "")


def test_prose_that_ollama_cut_off_is_marked(world, control, stream):
    world.ollama.play(Script(text="A small website starts", ended="length"))

    assert world.manager().generate(REQUEST, control, stream).truncated
    assert world.outcomes == [("ollama", "truncated")]


@pytest.mark.parametrize(
    ("agent_type", "input"), [("chat_agent", {"message": "Hello?"}), ("content_agent", {"topic": "Hours"})]
)
@pytest.mark.parametrize(("ended", "truncated"), [("length", True), ("stop", False)])
def test_the_result_of_a_prose_agent_shows_whether_it_was_cut_off(world, agent_type, input, ended, truncated):
    world.ollama.play(Script(text="A small website starts", ended=ended))

    outcome = registry.get(agent_type).run(input, world.context())

    assert outcome.output["truncated"] is truncated


def test_json_that_was_cut_off_is_requested_again_with_more_tokens(world, provider, control, stream):
    provider.play(Script(text='{"word": "fine", "poi', ended="length"), GOOD)

    verdict, reply = world.manager().generate_json(REQUEST, Verdict, control, stream)

    assert (verdict.points, reply.truncated) == (7, False)
    assert asked(provider, 1) == 396
    assert len(provider.requests[1]["body"]["messages"]) == 1
    assert [outcome for name, outcome in world.outcomes if name == reply.provider] == ["invalid", "ok"]


def test_json_that_is_complete_before_the_cut_is_accepted(world, provider, control, stream):
    provider.play(Script(text='{"word": "fine", "points": 7} I chose this bec', ended="length"))

    verdict, reply = world.manager().generate_json(REQUEST, Verdict, control, stream)

    assert (verdict.points, reply.truncated) == (7, False)
    assert len(provider.requests) == 1
    assert world.outcomes[-1] == (reply.provider, "ok")


def test_json_that_a_filter_stopped_is_requested_again_with_the_same_limit(world, control, stream):
    world.ollama.stop()
    world.huggingface.play(Script(text='{"word": "fine", "poi', ended="content_filter"), GOOD)

    assert world.manager().generate_json(REQUEST, Verdict, control, stream)[0].points == 7
    assert asked(world.huggingface, 1) == 99
    assert "cannot be used" in world.huggingface.requests[1]["body"]["messages"][-1]["content"]


def test_more_tokens_are_limited_by_the_window(world, control, stream):
    request = ModelRequest("a", (Message("user", "x" * 17_000),), "llama3.1:8b", max_tokens=2048)
    world.ollama.play(Script(pieces=["<think>"], ended="length"))

    world.manager().generate(request, control, stream)

    assert asked(world.ollama, 1) == 8192 - world.calls[0].prompt_tokens > 2048


def test_a_full_window_leads_to_the_next_provider_at_once(world, control, stream):
    request = ModelRequest("a", (Message("user", "x" * 17_000),), "llama3.1:8b", max_tokens=4096)
    world.ollama.play(Script(pieces=["<think>"], ended="length"))

    assert world.manager().generate(request, control, stream).provider == "huggingface"
    assert len(world.ollama.requests) == 1


# Other forms


def test_a_content_of_parts_is_the_text_in_them(world, control, stream):
    world.ollama.stop()
    world.huggingface.play(Script(pieces=["Hel", "lo."], parts=True))

    assert world.manager().generate(REQUEST, control, stream).text == stream.text == "Hello."


@pytest.mark.parametrize("done", [True, False], ids=["done", "no-done"])
def test_the_finish_reason_is_not_changed_by_later_events(world, control, stream, done):
    world.ollama.stop()
    world.huggingface.play(Script(pieces=["Hello. ", "A small"], parts=True, ended="length", done=done))

    reply = world.manager().generate(REQUEST, control, stream)

    assert (reply.text, reply.truncated) == ("Hello. A small", True)


def test_halves_of_an_emoji_in_two_chunks_become_one(world, provider, control, stream):
    provider.play(Script(pieces=["Hi \ud83d", "\ude00!"]))

    assert world.manager().generate(REQUEST, control, stream).text == stream.text == "Hi 😀!"


def test_half_an_emoji_of_a_partial_reply_is_not_in_the_next_reply(world, control, stream):
    world.ollama.play(Script(pieces=["Hi \ud83d", "\ude00!"], break_after=1))
    world.huggingface.play(Script(pieces=["Hello."]))

    assert world.manager().generate(REQUEST, control, stream).text == stream.text == "Hello."


@pytest.mark.parametrize(
    "script",
    [
        Script(pieces=[""], tool_calls=True),
        Script(pieces=["I look ", "it up."], tool_calls=True),
        Script(pieces=["I look ", "it up."], function_call=True),
    ],
    ids=["alone", "with-text", "older-form"],
)
def test_a_tool_call_at_huggingface_is_an_invalid_reply(world, control, stream, script):
    world.ollama.stop()
    world.huggingface.play(script)

    with pytest.raises(ModelsUnavailable):
        world.manager().generate(REQUEST, control, stream)

    assert stream.text == ""
    assert world.outcomes[-1] == ("huggingface", "invalid")
    assert "tool" in (world.calls[-1].error or "")


@pytest.mark.parametrize("pieces", [[""], ["I look it up."]], ids=["alone", "with-text"])
def test_a_tool_call_is_an_invalid_reply(world, control, stream, pieces):
    world.ollama.play(Script(pieces=pieces, tool_calls=True))

    reply = world.manager().generate(REQUEST, control, stream)

    assert (reply.provider, stream.text) == ("huggingface", PROSE)
    assert world.outcomes == [("ollama", "invalid"), ("huggingface", "ok")]
    assert "tool" in (world.calls[0].error or "")


def test_a_tool_call_instead_of_json_is_retried(world, provider, control, stream):
    provider.play(Script(pieces=[""], tool_calls=True), GOOD)

    assert world.manager().generate_json(REQUEST, Verdict, control, stream)[0].points == 7
    assert "tool" in provider.requests[1]["body"]["messages"][-1]["content"]


# Discarded


def test_a_partial_reply_is_discarded_and_the_next_provider_named(world, control, stream):
    world.ollama.play(Script(pieces=["half ", "an "], break_after=2))
    world.huggingface.play(Script(pieces=["half ", "too"], break_after=2))

    with pytest.raises(ModelsUnavailable):
        world.manager().generate(REQUEST, control, stream)

    assert stream.retrying_with == ["huggingface", "fallback"]
    assert stream.text == ""
