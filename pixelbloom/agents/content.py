"""content_agent: writes articles, pages, emails and posts."""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pixelbloom.agents.base import ProseAgent
from pixelbloom.agents.fields import NUMBER, AgentInput, Brief, Label, Line, ProseOutput
from pixelbloom.agents.knowledge.material import material, system
from pixelbloom.agents.knowledge.words import count, listing, words
from pixelbloom.core.text import shorten
from pixelbloom.models.catalog import WRITER
from pixelbloom.models.request import Message

ContentType = Literal["blog_post", "landing_page", "email", "social_post", "product_description", "case_study"]
ContentTone = Literal["friendly", "professional", "playful", "persuasive", "expert"]

#: The sections of each type, with the share of words of each.
_PARTS: dict[ContentType, tuple[tuple[str, float], ...]] = {
    "blog_post": (
        ("Why {topic} matters", 0.2),
        ("What to know first", 0.25),
        ("How to go about it", 0.3),
        ("Common mistakes", 0.15),
        ("Next step", 0.1),
    ),
    "landing_page": (
        ("{topic}", 0.15),
        ("What you gain", 0.3),
        ("How it works", 0.25),
        ("What others say", 0.15),
        ("Start now", 0.15),
    ),
    "email": (("Why we write", 0.3), ("What is in it for you", 0.5), ("What to do now", 0.2)),
    "social_post": (("Hook", 0.3), ("Point", 0.5), ("Call", 0.2)),
    "product_description": (("At a glance", 0.25), ("What it does", 0.45), ("Details", 0.3)),
    "case_study": (("The client", 0.15), ("The problem", 0.25), ("What we did", 0.35), ("The result", 0.25)),
}
_DEFAULT_LENGTH: dict[ContentType, int] = {
    "blog_post": 800,
    "landing_page": 450,
    "email": 220,
    "social_post": 80,
    "product_description": 180,
    "case_study": 700,
}
#: Words that a person reads in a minute.
_READING = 220
#: The characters of a description that search engines show.
_META = 155

_SENTENCE = re.compile(r"(?<=[.!?])\s+")


class ContentInput(AgentInput):
    """The text to write."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "topic": "Online booking for dental clinics",
                    "content_type": "blog_post",
                    "brief": "Patients want to book at night. Clinics lose calls. Reminders halve no-shows.",
                    "audience": "owners of dental clinics",
                    "tone": "friendly",
                    "keywords": ["online booking", "dental clinic", "no-shows"],
                    "length": 600,
                    "call_to_action": "Book a demo.",
                }
            ]
        }
    )

    topic: Label = Field(description="What it is about.")
    content_type: ContentType = Field("blog_post", description="Kind of text.")
    brief: Brief | None = Field(None, description="Facts and points that it must make.")
    audience: Line | None = Field(None, description="Who reads it.")
    tone: ContentTone = Field("professional", description="How it sounds.")
    keywords: list[Annotated[str, StringConstraints(min_length=1, max_length=80)]] = Field(
        default=[], max_length=20, description="Words that it must use."
    )
    length: Annotated[int, Field(ge=20, le=1200), NUMBER] | None = Field(
        None, description="Words; the usual length of its kind if missing."
    )
    call_to_action: Line | None = Field(None, description="What the reader should do.")
    language: Annotated[str, StringConstraints(min_length=2, max_length=40)] = Field(
        "English", description="Language to write in."
    )


class KeywordUse(BaseModel):
    """The number of times a keyword occurs in the text."""

    model_config = ConfigDict(frozen=True)

    keyword: str = Field(description="The keyword.")
    count: int = Field(ge=0, description="How often.")


class ContentOutput(ProseOutput):
    """The text, and what can be counted about it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "title": "Online booking for dental clinics",
                    "kind": "text",
                    "body": "# Online booking for dental clinics\n\nPatients book when it suits them.",
                    "outline": [],
                    "word_count": 6,
                    "reading_minutes": 1,
                    "meta_description": "Patients book when it suits them.",
                    "keyword_use": [{"keyword": "online booking", "count": 1}],
                    "missing_keywords": [],
                }
            ]
        }
    )

    title: str = Field(description="Its title.")
    kind: Literal["text", "outline"] = Field(description="A text to publish, or an outline to write one from.")
    body: str = Field(max_length=40_000, description="Markdown.")
    outline: list[str] = Field(max_length=50, description="Its headings, in order.")
    word_count: int = Field(ge=0, description="Words of the body.")
    reading_minutes: int = Field(ge=1, description="Minutes to read it.")
    meta_description: str = Field(max_length=_META, description="A description for search engines.")
    keyword_use: list[KeywordUse] = Field(description="Each keyword with its count.")
    missing_keywords: list[str] = Field(description="Keywords that the body does not use.")


class ContentAgent(ProseAgent[ContentInput, ContentOutput]):
    """Writes a text; without a model, drafts its outline from the brief."""

    agent_type = "content_agent"
    writes = "content"
    title = "Content"
    description = "Writes an article, page, mail or post to a brief, and counts its keywords and length."
    capabilities = ("articles and pages", "mails and posts", "keyword check", "outlines")
    model = WRITER
    max_tokens = 2048
    input = ContentInput
    output = ContentOutput

    def messages(self, input: ContentInput) -> list[Message]:
        """Return the rules of writing, and the order as material."""
        length = input.length or _DEFAULT_LENGTH[input.content_type]
        rules = system(
            f"a copywriter who writes in a {input.tone} tone",
            "Write Markdown: one `#` title, `##` headings where the kind of text has them, no comments around it.",
            f"Write about {length} words.",
            "Write in the language that the material names under `language`.",
            "Use only facts of the brief; invent no numbers, quotes, customers or results.",
            "Use each keyword at least once where it reads naturally; end with the call to action if there is one.",
        )
        order = material(**input.model_dump(mode="json", exclude_none=True))
        kind = input.content_type.replace("_", " ")
        return [Message("system", rules), Message("user", f"Write this {kind}.\n\n{order}")]

    def from_text(self, text: str, input: ContentInput) -> ContentOutput:
        """Return the model's text with its counts."""
        return _measured("text", text, input)

    def fallback(self, input: ContentInput) -> ContentOutput:
        """Return an outline: the sections of such a text, each with its length, points of the brief and keywords."""
        return _measured("outline", _outline(input), input)


def _measured(kind: Literal["text", "outline"], text: str, input: ContentInput) -> ContentOutput:
    body = shorten(text.strip(), 40_000)
    lines = [(line, _heading(line)) for line in body.split("\n")]
    headings = [heading[:300] for _, heading in lines if heading]
    named = body.startswith("#") and bool(headings)
    prose = " ".join(" ".join(line for line, heading in lines if not heading).replace("*", "").split())
    uses = [KeywordUse(keyword=word, count=count(body, [word])) for word in dict.fromkeys(input.keywords)]
    length = len(words(body))
    return ContentOutput(
        title=headings[0] if named else input.topic,
        kind=kind,
        body=body,
        outline=(headings[1:] if named else headings)[:50],
        word_count=length,
        reading_minutes=max(1, round(length / _READING)),
        meta_description=shorten((input.brief if kind == "outline" and input.brief else prose) or input.topic, _META),
        keyword_use=uses,
        missing_keywords=[use.keyword for use in uses if not use.count],
    )


def _heading(line: str) -> str | None:
    """Return the text of a Markdown heading of levels 1 to 4, without closing marks; None for other lines."""
    text = line.lstrip("#")
    if not 1 <= len(line) - len(text) <= 4 or not text[:1].isspace():
        return None
    text = text.strip()
    opened = text.rstrip("#")
    return (text if opened and not opened[-1].isspace() else opened.rstrip()) or None


def _outline(input: ContentInput) -> str:
    parts = _PARTS[input.content_type]
    length = input.length or _DEFAULT_LENGTH[input.content_type]
    points = [point.strip() for point in _SENTENCE.split(" ".join((input.brief or "").split())) if point.strip()]
    given = _dealt(points, len(parts))
    keywords = _dealt(list(dict.fromkeys(input.keywords)), len(parts))
    readers = f" for {input.audience}" if input.audience else ""
    lines = [f"# {input.topic}", "", f"*Outline of a {input.content_type.replace('_', ' ')}{readers}: {length} words.*"]
    for (heading, share), own_points, own_keywords in zip(parts, given, keywords, strict=True):
        lines += ["", f"## {heading.format(topic=input.topic)}", "", f"About {max(1, round(length * share))} words."]
        lines += [f"- {point}" for point in own_points]
        if own_keywords:
            lines.append(f"- Use: {listing(own_keywords)}.")
    if input.call_to_action:
        lines += ["", f"**{input.call_to_action}**"]
    return "\n".join(lines)


def _dealt(items: list[str], parts: int) -> list[list[str]]:
    """Distribute the items in order, evenly over the sections."""
    return [items[i * len(items) // parts : (i + 1) * len(items) // parts] for i in range(parts)]
