"""A model's reasoning is never passed on, however it is cut into pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelbloom.models.output import Output
from tests.unit.conftest import Witness
from tests.unit.models.replies import REPLIES


def read(pieces: list[str]) -> tuple[str, Witness]:
    """Return the shown text of a reply in these pieces."""
    stream = Witness()
    output = Output(stream)
    output.begin("ollama")
    for piece in pieces:
        output.feed(piece)
    output.end()
    assert stream.text == output.text
    return output.text, stream


@pytest.mark.parametrize(("sent", "shown"), REPLIES, ids=range(len(REPLIES)))
def test_reasoning_is_removed_from_a_complete_reply(sent, shown):
    assert read([sent])[0] == shown


@pytest.mark.parametrize(("sent", "shown"), REPLIES, ids=range(len(REPLIES)))
def test_reasoning_is_removed_letter_by_letter(sent, shown):
    assert read(list(sent))[0] == shown


@given(st.data())
def test_the_shown_text_does_not_depend_on_chunk_boundaries(data):
    parts = [
        "<think>",
        "</think>",
        "<Thinking a='b'>",
        "</reasoning>",
        "<",
        ">",
        "/",
        "think",
        "Hello 😀 ",
        "\n",
        "a<b ",
    ]
    sent = "".join(data.draw(st.lists(st.sampled_from(parts), max_size=12)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=8)))
    pieces = [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]

    assert read(pieces)[0] == read([sent])[0]


def test_text_before_a_lone_closing_tag_is_discarded():
    text, stream = read(["The user ", "greets me.", "</thi", "nk>", "\n", "Hello."])

    assert (text, stream.text, stream.restarts, stream.retrying_with) == ("Hello.", "Hello.", 1, [None])


def test_a_second_lone_closing_tag_in_a_piece_does_not_restore_discarded_text():
    text, stream = read(["The user ", "greets me.</think></think>Hello."])

    assert (text, stream.text, stream.restarts) == ("Hello.", "Hello.", 1)


def test_nothing_is_discarded_if_nothing_was_shown():
    assert read(["<think>a</think>", "Hello."])[1].restarts == 0


def test_a_split_surrogate_pair_is_one_character():
    assert read(["a\ud83d", "\ude00b"])[0] == "a😀b"
    assert read(["\ud83d", "x", "\ude00", "\ud83d"])[0] == "\ufffdx\ufffd\ufffd"


@given(st.text("a\ud83d\ude00\0<é", max_size=20))
def test_shown_text_can_be_stored(text):
    shown = read(list(text))[0]

    shown.encode()
    assert "\0" not in shown
