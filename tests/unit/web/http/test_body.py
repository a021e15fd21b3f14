"""What is taken as a JSON body."""

import gc
import json
import sys
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelbloom.errors import InvalidInput
from pixelbloom.web.http import body
from pixelbloom.web.http.body import (
    DEFAULT_BODY_BYTES,
    MAX_BODY_BYTES,
    MAX_DEPTH,
    MAX_VALUES,
    SMALL_BYTES,
    parse_object,
    read_timeout,
)


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b' {"a": [1, -2.5, true, null, "\\u00e9\\ud83d\\ude00"]} ',
        '{"ключ": "é\U0001f600"}'.encode(),
        b'{"a": 12345678901234567890123}',
        b'{"a": "{[{[{[{["}',
    ],
)
def test_json_objects_are_accepted(raw: bytes) -> None:
    assert isinstance(parse_object(raw), dict)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"{'a': 1}", "not valid JSON"),
        (b'{"a": 1} x', "not valid JSON"),
        (b'{"a": "\x00"}', "not valid JSON"),
        (b'{"a": "\n"}', "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b'"{}"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b"\xff\xfe", "not valid UTF-8"),
        (b'{"a": "\xed\xa0\x80"}', "not valid UTF-8"),
        (b'\xef\xbb\xbf{"a": 1}', "not valid JSON"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": 1' + b"0" * 309 + b"}", "too large"),
        (b'{"a": 1' + b"0" * 5000 + b"}", "too large"),
        (b'{"a": 1, "a": 2}', "same key twice"),
        (b'{"a": {"b": 1, "b": 1}}', "same key twice"),
        (b"[" * 100_000, "too deeply"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, "too deeply"),
    ],
)
def test_anything_else_is_refused_with_the_reason(raw: bytes, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        parse_object(raw)


def test_a_body_may_have_at_most_64_levels() -> None:
    inner = MAX_DEPTH - 1

    assert parse_object(b'{"a":' + b"[" * inner + b"]" * inner + b"}")
    with pytest.raises(InvalidInput, match="64 levels"):
        parse_object(b'{"a":' + b"[" * (inner + 1) + b"]" * (inner + 1) + b"}")


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b'{"input": {"a": ["x", "\\u0000"]}}', "input.a.1"),
        (b'{"input": {"a\\u0000": 1}}', "input"),
        (b'{"\\u0000": 1}', "body"),
        (b'{"a": "\\ud800"}', "a"),
        (b'{"a": "\\udc00\\ud800"}', "a"),
        (b'{"input": {"\\udfff": 1}}', "input"),
    ],
)
def test_text_that_cannot_be_stored_is_named_by_its_field(raw: bytes, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_object(raw)
    assert [detail.field for detail in caught.value.details] == [field]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"a', "The body is not valid JSON: Unterminated string at line 1, column 2."),
        (b'{"a": "\n"}', "The body is not valid JSON: Invalid control character at line 1, column 8."),
        (b'{"a": "\\x"}', "The body is not valid JSON: Invalid \\escape at line 1, column 8."),
    ],
)
def test_the_position_of_malformed_json_is_reported_once(raw: bytes, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_object(raw)
    assert caught.value.message == said


PADDING = b" " * SMALL_BYTES


@pytest.mark.parametrize("value", [b"[[]]", b"[]", b"{}", b"1", b'""', b"null", b'{"a":{}}', b"[1,[2]]"])
def test_a_body_of_many_values_is_refused_before_each_is_checked(value: bytes) -> None:
    number = MAX_BODY_BYTES // (len(value) + 1) - 10
    raw = b'{"a":[' + b",".join([value] * number) + b"]}"
    assert len(raw) <= MAX_BODY_BYTES
    called: list[str] = []

    def seen(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename == body.__file__:
            called.append(frame.f_code.co_name)

    sys.setprofile(seen)
    try:
        with pytest.raises(InvalidInput, match=f"more than {MAX_VALUES} values"):
            parse_object(raw)
    finally:
        sys.setprofile(None)
    assert len(called) < 12, set(called)


def test_a_body_of_many_lists_is_not_searched_for_cycles() -> None:
    raw = b'{"a":[' + b",".join([b"[[]]"] * 200_000) + b"]}"
    gc.collect()
    before = sum(generation["collections"] for generation in gc.get_stats())

    with pytest.raises(InvalidInput, match="values"):
        parse_object(raw)

    assert sum(generation["collections"] for generation in gc.get_stats()) <= before + 2
    assert gc.isenabled()


def test_a_body_with_the_maximum_number_of_values_is_accepted() -> None:
    assert len(parse_object(b'{"a":[' + b",".join([b"1"] * (MAX_VALUES - 2)) + b"]}")["a"]) == MAX_VALUES - 2
    with pytest.raises(InvalidInput, match="values"):
        parse_object(b'{"a":[' + b",".join([b"1"] * (MAX_VALUES - 1)) + b"]}")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": 1' + b"0" * 5000 + b"}", "too large"),
        (b'{"a": 1, "a": 2}', "same key twice"),
        (b'{"a": "\\ud800"}', "lone surrogate"),
        (b'{"a": "\\u0000"}', "NUL"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, "too deeply"),
        (b"[" * 5000, "too deeply"),
        (b"{'a': 1}", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b"1", "must be a JSON object"),
    ],
)
def test_a_large_body_is_parsed_as_strictly_as_a_small_one(raw: bytes, says: str) -> None:
    for padded in (raw + PADDING, PADDING + raw):
        with pytest.raises(InvalidInput, match=says):
            parse_object(padded)


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner),
)


@given(st.dictionaries(_TEXT, _VALUES))
def test_a_value_of_any_size_survives_a_round_trip(value: dict[str, object]) -> None:
    raw = json.dumps(value).encode()

    assert parse_object(raw) == value
    assert parse_object(raw + PADDING) == value


@pytest.mark.parametrize(
    ("declared", "limit", "seconds"),
    [
        ("0", DEFAULT_BODY_BYTES, 10),
        ("200", DEFAULT_BODY_BYTES, 10),
        ("65536", DEFAULT_BODY_BYTES, 12),
        ("", DEFAULT_BODY_BYTES, 12),
        ("9" * 30, DEFAULT_BODY_BYTES, 12),
        ("²", DEFAULT_BODY_BYTES, 12),
        ("327680", MAX_BODY_BYTES, 20),
        ("1048576", MAX_BODY_BYTES, 30),
        ("", MAX_BODY_BYTES, 30),
    ],
    ids=["none", "few", "usual", "chunked", "false", "no-number", "more", "largest", "chunked-largest"],
)
def test_a_body_may_take_as_long_as_its_bytes_at_the_minimum_rate(declared: str, limit: int, seconds: int) -> None:
    assert round(read_timeout(declared, limit)) == seconds
