"""The parts of the models package that need no server."""

import contextlib
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from pixelbloom.agents import registry
from pixelbloom.agents.base import StructuredAgent
from pixelbloom.core.text import clean, clean_text, shorten
from pixelbloom.errors import StepCancelled, StepTimeout
from pixelbloom.models.abortable_connection import AbortableConnection
from pixelbloom.models.control import CallControl
from pixelbloom.models.failures import InvalidReply, ProviderTimeout
from pixelbloom.models.huggingface import data_lines
from pixelbloom.models.request import Message, bounded
from pixelbloom.models.structured import read_json, wire_schema


def test_only_the_first_stop_counts():
    control = CallControl(60)
    control.stop(StepCancelled("first"))
    control.stop(StepTimeout("second"))

    with pytest.raises(StepCancelled):
        control.check()


def test_an_abort_is_called_at_once_after_stop():
    control = CallControl(60)
    control.stop(StepCancelled("no"))
    aborted = []

    with control.abortable(lambda: aborted.append(True)):
        pass

    assert aborted


def test_a_failing_abort_does_not_prevent_the_others():
    control = CallControl(60)
    aborted = []

    def fail() -> None:
        raise OSError("closed")

    with control.abortable(fail), control.abortable(lambda: aborted.append(True)):
        control.stop(StepCancelled("no"))

    assert aborted


def test_an_abort_is_removed_after_its_block():
    control = CallControl(60)
    aborted = []
    with control.abortable(lambda: aborted.append(True)):
        pass

    control.stop(StepCancelled("no"))

    assert not aborted


def test_a_deadline_that_passed_is_a_timeout():
    control = CallControl(0)

    assert control.expired
    assert control.remaining() == 0
    with pytest.raises(StepTimeout):
        control.check()


def test_a_timeout_wakes_a_blocked_read():
    sock, peer = socket.socketpair()
    sock.settimeout(60)
    with sock, peer, AbortableConnection(CallControl(60), 0.05) as connection:
        connection.attach(sock)
        assert sock.recv(1) == b""
        with pytest.raises(ProviderTimeout):
            connection.check()


def test_a_socket_attached_after_the_cut_is_shut_too():
    sock, peer = socket.socketpair()
    sock.settimeout(60)
    with sock, peer, AbortableConnection(CallControl(60), 60) as connection:
        connection.cut()
        connection.attach(sock)
        assert sock.recv(1) == b""


def test_a_connection_closes_its_descriptors():
    sock, peer = socket.socketpair()
    with sock, peer:
        with AbortableConnection(CallControl(60), 60) as connection:
            connection.attach(sock)
            duplicate = connection._sockets[0]
        assert duplicate.fileno() == -1
        sock.sendall(b"still open")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("Timer")]


@given(st.text(st.characters(exclude_categories=[])) | st.text("\0\ud83d\ude00aé"))
def test_cleaned_text_is_storable_and_valid_text_is_unchanged(text):
    cleaned = clean_text(text)

    cleaned.encode()
    assert "\0" not in cleaned
    assert clean_text(cleaned) == cleaned
    if "\0" not in text and not any(0xD800 <= ord(letter) < 0xE000 for letter in text):
        assert cleaned == text


def test_a_split_surrogate_pair_becomes_its_character():
    assert clean_text("\ud83d\ude00") == "😀"


def test_keys_are_cleaned_too():
    assert clean({"a\0": ["\0b", 1, None]}) == {"a": ["b", 1, None]}


@given(st.text(), st.integers(1, 20))
def test_shortened_text_is_within_its_limit(text, limit):
    assert len(shorten(text, limit)) <= limit


_MESSAGES = st.lists(
    st.builds(Message, st.sampled_from(["system", "user", "assistant"]), st.text(max_size=400)), min_size=1, max_size=12
)


@given(_MESSAGES, st.integers(100, 2000))
def test_bounded_messages_are_within_the_limit_and_in_order(messages, limit):
    selected = bounded(messages, limit)

    assert sum(len(message.content) for message in selected) <= limit
    if sum(len(message.content) for message in messages) <= limit:
        assert selected == tuple(messages)


class Inner(BaseModel):
    kind: str = Field("a", pattern="^a$")


class Outer(BaseModel):
    text: str = Field(max_length=100_000)
    inner: list[Inner] = Field(min_length=1, max_length=5)
    maybe: Inner | None = None


def test_the_schema_for_a_provider_has_no_references_nor_bounds_on_text():
    schema = wire_schema(Outer)

    assert "$" not in str(schema)
    assert schema["properties"]["text"] == {"type": "string"}
    assert schema["properties"]["inner"]["maxItems"] == 5
    assert schema["required"] == ["text", "inner", "maybe"]
    assert schema["properties"]["inner"]["items"]["additionalProperties"] is False


STRUCTURED = [agent for agent in registry.all() if isinstance(agent, StructuredAgent)]


@pytest.mark.parametrize("agent", STRUCTURED, ids=lambda agent: agent.agent_type)
def test_the_schema_of_each_draft_uses_only_supported_keywords(agent):
    def keywords(node):
        for name, part in node.get("properties", {}).items():
            yield from keywords(part)
            assert "$" not in name
        for part in (*node.get("anyOf", ()), *([node["items"]] if "items" in node else ())):
            yield from keywords(part)
        yield from set(node) - {"properties"}

    known = {"type", "enum", "const", "description", "anyOf", "items", "required", "additionalProperties"}
    assert set(keywords(wire_schema(agent.draft))) <= known | {"minItems", "maxItems"}


def test_a_mismatch_names_the_field_to_correct():
    with pytest.raises(InvalidReply, match=r"inner\.0\.kind"):
        read_json('{"text": "a", "inner": [{"kind": "b"}]}', Outer)


@given(st.text(max_size=200))
def test_any_text_is_parsed_or_rejected(text):
    with contextlib.suppress(InvalidReply):
        read_json(text, Outer)


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_events_do_not_depend_on_chunk_boundaries(chunks):
    def read(parts):
        try:
            return list(data_lines(parts, 10_000))
        except UnicodeDecodeError:
            return None

    assert read(chunks) == read([b"".join(chunks)])


def test_events_beyond_the_limit_are_refused():
    with pytest.raises(ValueError, match="too large"):
        list(data_lines([b"data: " + b"x" * 100], 50))
