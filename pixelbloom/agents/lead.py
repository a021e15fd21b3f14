"""lead_agent: qualifies one lead, or finds the best among the stored ones."""

import re
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple
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

from pixelbloom.agents.base import StructuredAgent
from pixelbloom.agents.context import AgentContext
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
from pixelbloom.agents.knowledge.amounts import leading
from pixelbloom.agents.knowledge.described import EMAIL, given
from pixelbloom.agents.knowledge.scoring import HOT_FROM, WARM_FROM, Facts, Score, Tier, score, tier
from pixelbloom.agents.knowledge.words import any_of, keywords, listing, plural
from pixelbloom.agents.lead_reader import LeadRecord
from pixelbloom.errors import StepRejected
from pixelbloom.models.catalog import GENERAL

#: How far a model's judgement may move the computed score.
SWING = 10

_AT_LEAST = re.compile(r"\b(?:over|above|more than|at least|from|minimum|min)\s+", re.I)
_SEARCH_ONLY = frozenset({"budget", "budgets", "above", "least", "than", "minimum", "min", "industry", "company"})
_OPEN = frozenset({"new", "contacted", "qualified"})

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


class LeadAgent(StructuredAgent[LeadInput, LeadDraft, LeadOutput]):
    """Scores leads by budget, timeline, fit and contact; searches and ranks the stored ones."""

    agent_type = "lead_agent"
    writes = "lead_analysis"
    title = "Lead qualification"
    description = "Qualifies a lead given by fields or by id, or finds and ranks the best of the stored leads."
    capabilities = ("lead scoring with reasons", "search and ranking of stored leads", "next steps")
    model = GENERAL
    max_tokens = 900
    input = LeadInput
    output = LeadOutput
    draft = LeadDraft
    role = "a sales analyst"
    guidance = (
        "Judge by the facts; never guess what a lead may earn or want.",
        "Where no lead was found, say so plainly and suggest how to search or where to look; invent none.",
        "Next steps name who does what, such as a question to ask or a document to send.",
    )
    task = "Give your judgement of this lead, or of the leads that this search found."

    def prepare(self, input: LeadInput, context: AgentContext) -> LeadInput:
        """Load the stored lead, or those that match the query."""
        if input.lead_id is not None:
            record = context.leads.get(input.lead_id)
            if record is None:
                raise StepRejected(f"There is no lead {input.lead_id}, or it is not yours.")
            return _with_records(input, (record,))
        if input.query is not None:
            terms = _terms(input.query)
            found = context.leads.search(" ".join(terms), min(100, input.limit * 5))
            return _with_records(input, tuple(found))
        return input

    def facts(self, input: LeadInput) -> dict[str, Any]:
        """Return the score and its reasons, or the ranked prospects."""
        if input.query is not None:
            prospects = [p.model_dump(mode="json", exclude={"lead_id"}) for p in _ranked(input)[:10]]
            return {"searched": len(input._records), "prospects": prospects}
        facts = input.facts()
        found = score(facts)
        known = {k: v for k, v in vars(facts).items() if v is not None and k != "lead_id"}
        return {"lead": known, "score": found.total, "tier": found.tier, "reasons": found.reasons}

    def rules(self, input: LeadInput) -> LeadDraft:
        """Return a draft by tier and by missing facts."""
        if input.query is not None:
            return _search_draft(input, _ranked(input))
        facts = input.facts()
        found = score(facts)
        who = facts.company or facts.name or "This lead"
        best = max(found.points, key=lambda part: found.points[part])
        gap = f" Not known yet: {listing(found.missing)}." if found.missing else ""
        return LeadDraft(
            summary=f"{who} is a {found.tier} lead: {found.total} of 100 points, most of them for {best}.{gap}",
            next_actions=_actions(found),
        )

    def compose(self, draft: LeadDraft, input: LeadInput) -> LeadOutput:
        """Adjust the computed score by the draft's judgement; a search retains the computed ranking."""
        if input.query is not None:
            return LeadOutput(
                mode="search",
                summary=draft.summary,
                lead_id=None,
                score=None,
                tier=None,
                breakdown={},
                reasons=[],
                missing=[],
                services=[],
                next_actions=draft.next_actions,
                prospects=_ranked(input),
                searched=len(input._records),
            )
        facts = input.facts()
        found = score(facts)
        total = max(0, min(100, found.total + draft.adjustment))
        judged = [draft.adjustment_reason] if draft.adjustment else []
        return LeadOutput(
            mode="qualification",
            summary=draft.summary,
            lead_id=facts.lead_id,
            score=total,
            tier=tier(total),
            breakdown={**found.points, "judgement": total - found.total},
            reasons=[*found.reasons, *judged],
            missing=list(found.missing),
            services=[service.key for service in found.services],
            next_actions=draft.next_actions,
            prospects=[],
            searched=0,
        )


def _with_records(input: LeadInput, records: tuple[LeadRecord, ...]) -> LeadInput:
    prepared = input.model_copy()
    prepared._records = records
    return prepared


def _terms(query: str) -> list[str]:
    """Return the search terms: the query without its request words and its minimum budget."""
    least = _least(query)
    rest = f"{query[: least.start]} {query[least.end :]}" if least else query
    return [word for word in keywords(rest) if word not in _SEARCH_ONLY]


class _Least(NamedTuple):
    """The minimum budget in a query, and its position."""

    budget: Decimal
    start: int
    end: int


def _least(query: str) -> _Least | None:
    """Find `over $10k` and the like in a query."""
    for words in _AT_LEAST.finditer(query):
        if found := leading(query[words.end() :]):
            return _Least(found[0], words.start(), words.end() + found[1])
    return None


def _ranked(input: LeadInput) -> list[Prospect]:
    """Rank the leads: open ones first, by score and by the number of the query's words they contain."""
    assert input.query is not None
    terms = _terms(input.query)
    least = _least(input.query)
    rated: list[tuple[int, LeadRecord, Score, list[str]]] = []
    for record in input._records:
        if least is not None and (record.budget is None or record.budget < least.budget):
            continue
        facts = Facts.from_record(record)
        matched = [term for term in terms if any_of(facts.text, [term])]
        found = score(facts)
        rated.append((found.total + 10 * len(matched), record, found, matched))
    rated.sort(
        key=lambda item: (item[1].status not in _OPEN, -item[0], -item[1].created_at.timestamp(), str(item[1].id))
    )
    return [
        Prospect(
            rank=place,
            lead_id=record.id,
            name=record.name,
            company=record.company,
            industry=record.industry,
            budget=record.budget,
            status=record.status,
            score=found.total,
            tier=found.tier,
            matched=matched,
            reasons=list(found.reasons),
        )
        for place, (_, record, found, matched) in enumerate(rated[: input.limit], start=1)
    ]


def _search_draft(input: LeadInput, prospects: list[Prospect]) -> LeadDraft:
    assert input.query is not None
    about = f" about {listing(_terms(input.query))}" if _terms(input.query) else ""
    if not prospects:
        return LeadDraft(
            summary=f"No stored lead{about} was found.",
            next_actions=[
                "Search with other words, such as an industry or a service.",
                "Add leads, by the contact form or by hand, and ask again.",
            ],
        )
    first = prospects[0]
    hot = sum(prospect.tier == "hot" for prospect in prospects)
    return LeadDraft(
        summary=(
            f"{plural(len(prospects), 'stored lead')}{about} ranked; {hot} of them hot. "
            f"The best is {first.name}{f' of {first.company}' if first.company else ''} "
            f"with {first.score} of 100 points."
        ),
        next_actions=[
            f"Contact {p.name} first: {p.reasons[0]}" if p.rank == 1 else f"Then {p.name}." for p in prospects[:3]
        ],
    )


def _actions(found: Score) -> list[str]:
    first = {
        "hot": "Call within one working day and offer a date for a workshop.",
        "warm": "Write within two working days with two matching examples of our work.",
        "cold": "Send the service overview and add the lead to the newsletter.",
    }[found.tier]
    asks = [f"Ask for: {name}." for name in found.missing[:4]]
    offer = [f"Prepare an outline for {service.title}." for service in found.services[:2]]
    return [first, *asks, *offer]
