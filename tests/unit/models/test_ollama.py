"""Replies of Ollama: streamed, validated, bounded, with the settings of the operator."""

import pytest

from pixelbloom.models.request import ModelRequest
from tests.servers.script import Script
from tests.unit.models.requests import BAD, GOOD, REQUEST, Verdict


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
