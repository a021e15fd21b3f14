"""JSON is found in what models really write."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from pixelbloom.models.failures import InvalidReply
from pixelbloom.models.structured import MAX_READS, read_json


class Verdict(BaseModel):
    word: str = Field(max_length=20)
    points: int = Field(ge=0, le=10)


class Nested(BaseModel):
    verdicts: list[Verdict]
    note: str = ""


GOOD = '{"word": "fine", "points": 7}'


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"Here you are:\n```\n{GOOD}\n```\nAnything else? :-}}",
        f"{GOOD}\n\nI used {{word}} and {{points}} as you asked.",
        f"The form is {{word, points}}. So: {GOOD}",
        f'I fill {{"word": ..., "points": ...}} in:\n{GOOD}',
        f'First try: {{"word": "bad", "points": 70}}. That is out of range. {GOOD}',
        f'First try: {{"word": "bad", "points": 1}}. Better: {GOOD}',
        f"{{{{ }}}} }} {{ [ {GOOD} ] }}",
        f'{{"answer": {GOOD}}}',
        f"[{GOOD}]",
        f'{GOOD} {{"note": "that was all"}}',
        f"f(x) = {{ x | x > 0 }} \\frac{{1}}{{2}} {GOOD} \\end{{proof}}",
    ],
    ids=range(13),
)
def test_the_object_is_found_in_surrounding_text(text):
    assert read_json(text, Verdict) == Verdict(word="fine", points=7)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no", "no JSON object"),
        ('{"verdicts": [{"word": "fine", "points": 7}, {"word": "go', "not JSON"),
        ('{"verdicts": [{"word": "fine", "points": 7}], ', "not JSON"),
        ('{"verdicts": [{"word": "fine", "points": 70}]}', "verdicts.0.points"),
        ('{"a":' * 20_000, "nested too deeply"),
    ],
    ids=["none", "cut-in-a-text", "cut-at-the-end", "mismatch", "deep"],
)
def test_the_error_is_named(text, expected):
    with pytest.raises(InvalidReply, match=expected):
        read_json(text, Nested)


def test_a_part_of_a_truncated_reply_is_not_accepted():
    class Loose(BaseModel):
        note: str = ""

    with pytest.raises(InvalidReply, match="not JSON"):
        read_json('{"note": "a", "inner": {"note": "b"}, "more": ', Loose)


@given(st.text(max_size=30), st.text(max_size=20), st.integers(0, 10), st.text('ab{}[]"\\:, ', max_size=30))
def test_an_object_is_found_after_any_prose_without_quotes(before, word, points, after):
    text = f"{before.replace(chr(34), '')}\n{json.dumps({'word': word, 'points': points})}"
    assert read_json(text, Verdict).points == points
    assert read_json(f"{text}\n{after.replace('{', '')}", Verdict).points == points


@pytest.mark.parametrize(
    "part", ["{", '{"', '{"a":', '{"a":[', '{"a":1,', '{"a":1}', '{"a":"', "[", '{"a":{"b":1} '], ids=range(9)
)
def test_the_work_for_a_hostile_reply_is_bounded(part):
    text = part * (100_000 // len(part))
    calls = [0]

    def count(frame, event, arg):
        calls[0] += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        with pytest.raises(InvalidReply):
            read_json(text, Verdict)
    finally:
        sys.setprofile(None)

    assert calls[0] < 200_000, f"more than {MAX_READS} readings of the text"
