"""brand_design_agent: drafts a brand's identity."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pixelbloom.agents.base import StructuredAgent
from pixelbloom.agents.fields import (
    AgentInput,
    AgentOutput,
    Brief,
    Draft,
    DraftLines,
    DraftText,
    Label,
    Line,
)
from pixelbloom.agents.knowledge.colour import WHITE, Colour, apart
from pixelbloom.agents.knowledge.words import listing
from pixelbloom.models.catalog import WRITER

Tone = Literal["trustworthy", "playful", "premium", "bold", "calm", "natural", "technical"]
ColourRole = Literal["primary", "secondary", "accent", "ink", "paper"]
Hex = Annotated[str, StringConstraints(pattern=r"^#?[0-9a-fA-F]{6}$")]

#: By tone: hue in degrees, saturation, fonts for headings and text, and words for the voice.
_TONES: dict[Tone, tuple[float, float, tuple[str, str], tuple[str, str, str]]] = {
    "trustworthy": (215, 0.62, ("Source Serif 4", "Source Sans 3"), ("clear", "reliable", "unhurried")),
    "playful": (330, 0.78, ("Baloo 2", "Nunito"), ("cheerful", "short", "surprising")),
    "premium": (265, 0.35, ("Playfair Display", "Lato"), ("quiet", "precise", "confident")),
    "bold": (8, 0.80, ("Archivo Black", "Archivo"), ("direct", "loud", "active")),
    "calm": (185, 0.40, ("Lora", "Karla"), ("gentle", "patient", "warm")),
    "natural": (130, 0.42, ("Bitter", "Work Sans"), ("honest", "earthy", "simple")),
    "technical": (200, 0.70, ("Space Grotesk", "IBM Plex Sans"), ("exact", "concise", "helpful")),
}
#: WCAG: text below 18 pt needs 4.5 to 1, at the highest level 7 to 1.
_AA, _AAA = 4.5, 7.0
#: Hues nearer than this look like the same colour.
_ALIKE = 30.0


class BrandDesignInput(AgentInput):
    """The brand's profile."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "company": "Northwind Bakery",
                    "industry": "organic bakery",
                    "description": "Sourdough and cakes from regional grain, three shops.",
                    "audience": "families in the neighbourhood",
                    "values": ["craft", "region", "warmth"],
                    "tone": "natural",
                    "avoid_colors": ["#d40000"],
                }
            ]
        }
    )

    company: Label = Field(description="Name of the company or product.")
    industry: Label | None = Field(None, description="Industry.")
    description: Brief | None = Field(None, description="What it does.")
    audience: Line | None = Field(None, description="Whom it speaks to.")
    values: list[Annotated[str, StringConstraints(min_length=1, max_length=60)]] = Field(
        default=[], max_length=10, description="What it stands for, one word or two each."
    )
    tone: Tone = Field("trustworthy", description="How it should feel.")
    base_color: Hex | None = Field(None, description="A colour that must stay, such as `#1a4f8b`.")
    avoid_colors: list[Hex] = Field(default=[], max_length=8, description="Colours to keep away from.")


class PaletteColor(BaseModel):
    """A colour of the brand."""

    model_config = ConfigDict(frozen=True)

    role: ColourRole = Field(description="What it is for.")
    hex: str = Field(description="sRGB, such as `#1a4f8b`.")
    use: str = Field(description="Where to use it.")


class ContrastPair(BaseModel):
    """Two colours of the palette as text and background."""

    model_config = ConfigDict(frozen=True)

    text: ColourRole | Literal["white"] = Field(description="Colour of the text.")
    background: ColourRole = Field(description="Colour behind it.")
    ratio: float = Field(ge=1, le=21, description="WCAG contrast ratio.")
    passes_aa: bool = Field(description="Whether it is enough for normal text, 4.5 to 1.")
    passes_aaa: bool = Field(description="Whether it is enough for the highest level, 7 to 1.")


class BrandDesignOutput(AgentOutput):
    """Palette, type, voice and ideas."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "summary": "A warm green identity.",
                    "positioning": "The bakery that knows its farmers.",
                    "palette": [{"role": "primary", "hex": "#2f7a3f", "use": "Buttons and headings"}],
                    "contrast": [
                        {
                            "text": "primary",
                            "background": "paper",
                            "ratio": 5.1,
                            "passes_aa": True,
                            "passes_aaa": False,
                        }
                    ],
                    "fonts": {"headings": "Bitter", "text": "Work Sans"},
                    "voice": ["honest"],
                    "taglines": ["Grain, time, hands."],
                    "logo_ideas": ["An ear of grain as the letter N."],
                }
            ]
        }
    )

    summary: str = Field(description="The direction in words.")
    positioning: str = Field(description="What makes the brand different, in a sentence.")
    palette: list[PaletteColor] = Field(description="Five colours.")
    contrast: list[ContrastPair] = Field(description="Which text can be read on which background.")
    fonts: dict[Literal["headings", "text"], str] = Field(description="Open fonts for headings and text.")
    voice: list[str] = Field(description="How the brand speaks.")
    taglines: list[str] = Field(description="Ideas for a tagline.")
    logo_ideas: list[str] = Field(description="Ideas for a logo.")


class BrandDesignDraft(Draft):
    """A brand designer's draft."""

    summary: DraftText = Field(description="the direction of the identity in two to four sentences")
    positioning: DraftText = Field(description="what makes the brand different, in one sentence")
    voice: DraftLines = Field(description="list of three to five traits of how the brand speaks")
    taglines: DraftLines = Field(description="list of three to five taglines of at most six words")
    logo_ideas: DraftLines = Field(description="list of two to four ideas for a logo, each in one sentence")


class BrandDesignAgent(StructuredAgent[BrandDesignInput, BrandDesignDraft, BrandDesignOutput]):
    """Builds an accessible palette, and text around it."""

    agent_type = "brand_design_agent"
    writes = "content"
    title = "Brand design"
    description = "Drafts an identity: a palette with computed contrast ratios, fonts, voice, taglines, logo ideas."
    capabilities = ("accessible colour palette", "fonts", "voice and taglines", "logo ideas")
    model = WRITER
    max_tokens = 800
    input = BrandDesignInput
    output = BrandDesignOutput
    draft = BrandDesignDraft
    role = "a brand designer"
    guidance = (
        "Work from the company's own values; avoid phrases that any company could use.",
        "Keep to the given palette when you speak of colours.",
    )
    task = "Draft the direction of this identity."

    def facts(self, input: BrandDesignInput) -> dict[str, Any]:
        """Return the palette and the fonts."""
        _, _, fonts, _ = _TONES[input.tone]
        return {"palette": {role: colour.hex for role, colour in palette(input).items()}, "fonts": fonts}

    def rules(self, input: BrandDesignInput) -> BrandDesignDraft:
        """Return a draft from the values and the tone."""
        _, _, _, voice = _TONES[input.tone]
        values = input.values or list(voice)
        business = input.industry or "company"
        audience = f" for {input.audience}" if input.audience else ""
        primary = palette(input)["primary"].hex
        initial = next((letter for letter in input.company if letter.isalnum()), "•").upper()
        return BrandDesignDraft(
            summary=(
                f"A {input.tone} identity around {primary}: {listing(values)} shown by one strong colour, "
                "plenty of paper white and few words."
            ),
            positioning=f"{input.company} is the {business}{audience} that stands for {listing(values[:3])}.",
            voice=list(voice),
            taglines=[
                f"{input.company}. {'. '.join(value.capitalize() for value in values[:3])}.",
                f"{values[0].capitalize()} first.",
                f"{business.capitalize()} with {listing(values[:2])}.",
            ],
            logo_ideas=[
                f"The letter {initial} in the heading font, cut once so that it hints at {values[0]}.",
                f"The name in {'lower case' if input.tone in ('playful', 'calm', 'natural') else 'capitals'}, "
                "with the accent colour on one letter.",
            ],
        )

    def compose(self, draft: BrandDesignDraft, input: BrandDesignInput) -> BrandDesignOutput:
        """Combine the palette with the draft's text."""
        colours = palette(input)
        _, _, (headings, text), _ = _TONES[input.tone]
        uses: dict[ColourRole, str] = {
            "primary": "Logo, headings and buttons",
            "secondary": "Large areas and illustrations",
            "accent": "Links and highlights, sparingly",
            "ink": "Text",
            "paper": "Background",
        }
        return BrandDesignOutput(
            summary=draft.summary,
            positioning=draft.positioning,
            palette=[PaletteColor(role=role, hex=colours[role].hex, use=use) for role, use in uses.items()],
            contrast=_pairs(colours),
            fonts={"headings": headings, "text": text},
            voice=draft.voice,
            taglines=draft.taglines,
            logo_ideas=draft.logo_ideas,
        )


def palette(input: BrandDesignInput) -> dict[ColourRole, Colour]:
    """Return five colours, away from those to avoid. All but paper and secondary are readable as text.

    A given colour is unchanged, even if it is hard to read: the contrast pairs show it.
    """
    hue, saturation, _, _ = _TONES[input.tone]
    avoided = [Colour.from_hex(text).hsl[0] for text in input.avoid_colors]
    if input.base_color is not None:
        primary = Colour.from_hex(input.base_color)
        hue, saturation, _ = primary.hsl
    else:
        hue = _away(hue, avoided)
        primary = Colour.from_hsl(hue, saturation, 0.42)
    paper = Colour.from_hsl(hue, min(saturation, 0.30), 0.98)
    if input.base_color is None:
        primary = primary.darkened_until(paper, _AA).darkened_until(WHITE, _AA)
    accent_hue = _away(hue + 150, [*avoided, hue])
    return {
        "primary": primary,
        "secondary": Colour.from_hsl(hue + 20, saturation * 0.6, 0.82),
        "accent": Colour.from_hsl(accent_hue, max(saturation, 0.55), 0.45).darkened_until(paper, _AA),
        "ink": Colour.from_hsl(hue, min(saturation, 0.25), 0.12),
        "paper": paper,
    }


def _away(hue: float, avoided: list[float]) -> float:
    """Return the nearest hue that is distinct from the avoided ones, else the farthest from them."""
    steps = [step * sign for step in range(0, 181, 10) for sign in (1, -1)]
    free = (hue + step for step in steps if all(apart(hue + step, other) >= _ALIKE for other in avoided))
    farthest = max(steps, key=lambda step: min((apart(hue + step, other) for other in avoided), default=0))
    return next(free, hue + farthest) % 360


def _pairs(colours: dict[ColourRole, Colour]) -> list[ContrastPair]:
    pairs: list[tuple[ColourRole | Literal["white"], ColourRole]] = [
        ("ink", "paper"),
        ("primary", "paper"),
        ("accent", "paper"),
        ("ink", "secondary"),
        ("white", "primary"),
    ]
    found = []
    for text, background in pairs:
        ratio = (WHITE if text == "white" else colours[text]).contrast(colours[background])
        found.append(
            ContrastPair(
                text=text,
                background=background,
                ratio=min(21.0, int(ratio * 100) / 100),
                passes_aa=ratio >= _AA,
                passes_aaa=ratio >= _AAA,
            )
        )
    return found
