"""What agents read in free text: amounts, words and timelines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelbloom.agents.knowledge.amounts import sums
from pixelbloom.agents.knowledge.timelines import weeks
from pixelbloom.agents.knowledge.words import count, keywords
from pixelbloom.core.text import shorten


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("we have $20k", [20_000]),
        ("15,000 USD or €1.5m", [15_000, 1_500_000]),
        ("call 555 1234 in 2025", []),
        ("2 million dollars", [2_000_000]),
        ("a 3m wide room", []),
    ],
)
def test_amounts_are_parsed_from_text(text, found):
    assert sums(text) == found


def test_only_whole_words_are_counted():
    assert count("Ads, ADS and loads of ad", ["ad"]) == 3
    assert keywords("Find top prospects in SaaS") == ["saas"]


@given(st.text(max_size=300))
def test_any_text_is_parsed_without_an_error(text):
    sums(text)
    keywords(text)
    count(text, ["shop"])
    assert len(shorten(text, 10)) <= 10


def test_repeated_spaces_in_a_timeline_are_ignored():
    assert weeks("3" + " " * 50_000 + "months") == pytest.approx(13.1, abs=0.1)
    assert weeks("3" + " " * 50_000 + "x") is None
