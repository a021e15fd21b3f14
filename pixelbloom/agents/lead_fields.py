"""The input, the output and the draft of lead_agent."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PrivateAttr,
    StringConstraints,
    model_validator,
)

from pixelbloom.agents.fields import (
    NUMBER,
    AgentInput,
    AgentOutput,
    Amount,
    Draft,
    DraftLine,
    DraftLines,
    DraftText,
    Label,
    Line,
    Money,
)
from pixelbloom.agents.knowledge.described import EMAIL, given
from pixelbloom.agents.knowledge.scoring import HOT_FROM, WARM_FROM, Facts, Tier
from pixelbloom.agents.lead_reader import LeadRecord

#: How far a model's judgement may move the computed score.
SWING = 10

Email = Annotated[str, StringConstraints(max_length=320, pattern=EMAIL)]


#: Each of these describes a lead; `source` says so little that it needs one of them.
_SAYS_WHO = ("lead_id", "name", "email", "company", "industry", "budget", "timeline", "message")
_WAYS: list[JsonValue] = [
    given("query", absent=(*_SAYS_WHO, "source")),
    *(given(name, absent=("query",)) for name in _SAYS_WHO),
]


class LeadInput(AgentInput):
    """One lead by its fields or by the id of a stored one, or a question about the stored leads."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Ada Mills",
                    "email": "ada@northwind-saas.example",
                    "company": "Northwind",
                    "industry": "SaaS",
                    "budget": 18000,
                    "timeline": "within 2 months",
                    "message": "We need a new website with a blog, and SEO to bring more trial sign-ups.",
                },
                {"query": "Find top prospects in SaaS"},
            ],
            "anyOf": _WAYS,
        }
    )

    query: Line | None = Field(None, description="A question about the stored leads, in plain words.")
    limit: Annotated[int, Field(ge=1, le=50), NUMBER] = Field(
        10, description="With `query`: how many prospects to give at most."
    )
    lead_id: UUID | None = Field(None, description="A stored lead to qualify.")
    name: Label | None = Field(None, description="The lead's name.")
    email: Email | None = Field(None, description="Email address.")
    company: Label | None = Field(None, description="Company.")
    industry: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = Field(
        None, description="Industry, such as `SaaS`."
    )
    budget: Amount | None = Field(None, description="Budget in major units.")
    timeline: Label | None = Field(None, description="When it is wanted, such as `next quarter`.")
    message: Annotated[str, StringConstraints(min_length=1, max_length=10_000)] | None = Field(
        None, description="What the lead wrote."
    )
    source: Label | None = Field(None, description="Where the lead came from.")

    _records: tuple[LeadRecord, ...] = PrivateAttr(())

    @model_validator(mode="after")
    def _one_way(self) -> "LeadInput":
        """Check what `_WAYS` in the schema requires."""
        lead = [name for name in (*_SAYS_WHO, "source") if getattr(self, name) is not None]
        if self.query is not None and lead:
            raise ValueError("must have no lead beside `query`, which searches the stored ones")
        if self.query is None and not lead:
            raise ValueError("must have `query`, `lead_id`, or fields of a lead such as `name`, `email` and `message`")
        if lead == ["source"]:
            raise ValueError("must say more about a lead than its `source`")
        return self

    def facts(self) -> Facts:
        """Return the facts of the lead: the stored ones, overridden by the input."""
        stored = Facts.from_record(self._records[0]) if self._records else Facts()
        return Facts(
            name=self.name or stored.name,
            email=self.email or stored.email,
            company=self.company or stored.company,
            industry=self.industry or stored.industry,
            budget=stored.budget if self.budget is None else self.budget,
            timeline=self.timeline or stored.timeline,
            message=self.message or stored.message,
            status=stored.status,
            lead_id=stored.lead_id,
        )


class Prospect(BaseModel):
    """A stored lead found by a search."""

    model_config = ConfigDict(frozen=True)

    rank: int = Field(ge=1, description="1 is the best.")
    lead_id: UUID = Field(description="The stored lead.")
    name: str = Field(description="Name.")
    company: str | None = Field(description="Company.")
    industry: str | None = Field(description="Industry.")
    budget: Money | None = Field(description="Budget in major units.")
    status: str = Field(description="Status of the stored lead.")
    score: int = Field(ge=0, le=100, description="0 to 100.")
    tier: Tier = Field(description=f"hot from {HOT_FROM}, warm from {WARM_FROM}.")
    matched: list[str] = Field(description="Words of the query that the lead contains.")
    reasons: list[str] = Field(description="Why it has this score.")


class LeadOutput(AgentOutput):
    """A qualified lead (`mode` qualification), or the best stored ones (`mode` search)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "mode": "qualification",
                    "summary": "Northwind is a hot lead: 84 of 100.",
                    "lead_id": None,
                    "score": 84,
                    "tier": "hot",
                    "breakdown": {"budget": 30, "timeline": 16, "fit": 22, "contact": 20, "judgement": -4},
                    "reasons": ["A budget of 18,000 covers the website and SEO."],
                    "missing": [],
                    "services": ["web_development", "seo"],
                    "next_actions": ["Call within one working day."],
                    "prospects": [],
                    "searched": 0,
                }
            ]
        }
    )

    mode: Literal["qualification", "search"] = Field(description="What was done.")
    summary: str = Field(description="The finding in a few sentences.")
    lead_id: UUID | None = Field(description="The stored lead that was qualified.")
    score: int | None = Field(ge=0, le=100, description="0 to 100; null after a search.")
    tier: Tier | None = Field(
        description=f"hot from {HOT_FROM}, warm from {WARM_FROM}, else cold; null after a search."
    )
    breakdown: dict[str, int] = Field(description="Points by part; `judgement` is the model's, -10 to 10.")
    reasons: list[str] = Field(description="Why.")
    missing: list[str] = Field(description="What is not known about the lead yet.")
    services: list[str] = Field(description="Services that the lead asks for.")
    next_actions: list[str] = Field(description="What to do next, first things first.")
    prospects: list[Prospect] = Field(description="After a search: the best stored leads.")
    searched: int = Field(ge=0, description="After a search: how many stored leads were compared.")


def _within_swing(value: Any) -> Any:
    if isinstance(value, float) and value == value and abs(value) < 1e6:
        value = round(value)
    return max(-SWING, min(SWING, value)) if isinstance(value, int) and not isinstance(value, bool) else value


class LeadDraft(Draft):
    """A sales analyst's judgement."""

    summary: DraftText = Field(description="the finding in two or three sentences for a sales person")
    adjustment: Annotated[int, BeforeValidator(_within_swing)] = Field(
        0,
        ge=-SWING,
        le=SWING,
        description="whole number from -10 to 10 by which the message itself makes the lead better or worse than "
        "its computed score; 0 for a search",
    )
    adjustment_reason: DraftLine = Field("No adjustment.", description="why, in one sentence")
    next_actions: DraftLines = Field(description="list of two to five concrete next steps, first things first")
