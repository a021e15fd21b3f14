"""content_agent: outlines, headings, and the measures of a text."""

import pytest

from pixelbloom.agents import registry
from tests.servers.script import Script
from tests.unit.agents.rules import rules


def test_an_outline_contains_every_point_of_the_brief():
    brief = "Patients book at night. Clinics lose calls! Do reminders help? They do."
    output = rules("content_agent", topic="Booking", brief=brief, keywords=["night", "drills"], length=500)

    assert output["kind"] == "outline"
    assert all(point in output["body"] for point in ("Patients book at night.", "Clinics lose calls!", "They do."))
    assert len(output["outline"]) == 5
    assert output["missing_keywords"] == []
    assert output["title"] == "Booking"


def test_a_written_text_is_measured(world):
    agent = registry.get("content_agent")
    world.ollama.play(Script(text="# Night\n\nOpen at night, every night.\n\n## Why\n\nBecause."))

    output = agent.run({"topic": "Hours", "keywords": ["night", "day"]}, world.context()).output

    assert (output["kind"], output["title"], output["outline"]) == ("text", "Night", ["Why"])
    assert output["keyword_use"] == [{"keyword": "night", "count": 3}, {"keyword": "day", "count": 0}]
    assert output["missing_keywords"] == ["day"]
    assert output["word_count"] == 8
    assert output["meta_description"].startswith("Open at night")


@pytest.mark.parametrize(
    ("body", "headings"),
    [
        ("# Title\n\n## One\ntext\n#### Four ####\n##### Five\n#none\n## C#\n# #\n", ["One", "Four", "C#"]),
        ("# Title\n\n##  Blanks   inside \t##  \n", ["Blanks   inside"]),
        ("# Title\n# a" + " " * 30_000 + "b", ["a" + " " * 299]),
        ("# Title\n# a" + " #" * 15_000 + "b", ["a" + " #" * 149 + " "]),
    ],
    ids=["levels", "blanks", "many-blanks", "many-marks"],
)
def test_content_finds_the_headings_of_a_text(world, body, headings):
    world.ollama.play(Script(pieces=[body]))

    output = registry.get("content_agent").run({"topic": "Hours"}, world.context()).output

    assert (output["title"], output["outline"]) == ("Title", headings)
