"""brand_design_agent without a model: contrast, palettes and texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelbloom.agents.knowledge.colour import Colour, apart
from tests.unit.agents.rules import rules


def test_contrast_follows_wcag():
    assert Colour(0, 0, 0).contrast(Colour(255, 255, 255)) == 21
    assert round(Colour.from_hex("#767676").contrast(Colour.from_hex("#ffffff")), 2) == 4.54


@given(
    st.sampled_from(["trustworthy", "playful", "premium", "bold", "calm", "natural", "technical"]),
    st.lists(st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}"), max_size=4),
)
def test_text_is_readable_on_every_generated_palette(tone, avoided):
    output = rules("brand_design_agent", company="Acme", tone=tone, avoid_colors=avoided)

    assert all(pair["passes_aa"] for pair in output["contrast"])
    colours = {colour["role"]: Colour.from_hex(colour["hex"]) for colour in output["palette"]}
    for pair in output["contrast"]:
        text = Colour(255, 255, 255) if pair["text"] == "white" else colours[pair["text"]]
        assert pair["ratio"] == pytest.approx(text.contrast(colours[pair["background"]]), abs=0.01)


def test_a_given_colour_is_unchanged_and_reported_if_unreadable():
    output = rules("brand_design_agent", company="Acme", base_color="#FFE600")

    assert output["palette"][0]["hex"] == "#ffe600"
    on_paper = next(p for p in output["contrast"] if (p["text"], p["background"]) == ("primary", "paper"))
    assert not on_paper["passes_aa"]


def test_a_colour_to_avoid_is_avoided():
    red = rules("brand_design_agent", company="Acme", tone="bold")["palette"][0]["hex"]
    other = rules("brand_design_agent", company="Acme", tone="bold", avoid_colors=[red])["palette"][0]["hex"]

    assert apart(Colour.from_hex(red).hsl[0], Colour.from_hex(other).hsl[0]) > 25


def test_the_text_of_a_brand_uses_its_values():
    output = rules("brand_design_agent", company="Northwind", values=["craft", "warmth"], industry="bakery")

    assert "craft and warmth" in output["positioning"]
    assert any("craft" in tagline.lower() for tagline in output["taglines"])
