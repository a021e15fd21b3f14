"""lead_agent: qualifies one lead, or finds the best among the stored ones."""

import re
from decimal import Decimal
from typing import Any, NamedTuple

from pixelbloom.agents.base import AgentContext, StructuredAgent
from pixelbloom.agents.knowledge.amounts import leading
from pixelbloom.agents.knowledge.scoring import Facts, Score, score, tier
from pixelbloom.agents.knowledge.words import any_of, keywords, listing, plural
from pixelbloom.agents.lead_fields import LeadDraft, LeadInput, LeadOutput, Prospect
from pixelbloom.agents.lead_reader import LeadRecord
from pixelbloom.errors import StepRejected
from pixelbloom.models.catalog import GENERAL

_AT_LEAST = re.compile(r"\b(?:over|above|more than|at least|from|minimum|min)\s+", re.I)
_SEARCH_ONLY = frozenset({"budget", "budgets", "above", "least", "than", "minimum", "min", "industry", "company"})
_OPEN = frozenset({"new", "contacted", "qualified"})


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
            words = terms(input.query)
            found = context.leads.search(" ".join(words), min(100, input.limit * 5))
            return _with_records(input, tuple(found))
        return input

    def facts(self, input: LeadInput) -> dict[str, Any]:
        """Return the score and its reasons, or the ranked prospects."""
        if input.query is not None:
            prospects = [p.model_dump(mode="json", exclude={"lead_id"}) for p in ranked(input)[:10]]
            return {"searched": len(input._records), "prospects": prospects}
        facts = input.facts()
        found = score(facts)
        known = {k: v for k, v in vars(facts).items() if v is not None and k != "lead_id"}
        return {"lead": known, "score": found.total, "tier": found.tier, "reasons": found.reasons}

    def rules(self, input: LeadInput) -> LeadDraft:
        """Return a draft by tier and by missing facts."""
        if input.query is not None:
            return search_draft(input, ranked(input))
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
                prospects=ranked(input),
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


def _actions(found: Score) -> list[str]:
    first = {
        "hot": "Call within one working day and offer a date for a workshop.",
        "warm": "Write within two working days with two matching examples of our work.",
        "cold": "Send the service overview and add the lead to the newsletter.",
    }[found.tier]
    asks = [f"Ask for: {name}." for name in found.missing[:4]]
    offer = [f"Prepare an outline for {service.title}." for service in found.services[:2]]
    return [first, *asks, *offer]


def terms(query: str) -> list[str]:
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


def ranked(input: LeadInput) -> list[Prospect]:
    """Rank the leads: open ones first, by score and by the number of the query's words they contain."""
    assert input.query is not None
    wanted = terms(input.query)
    least = _least(input.query)
    rated: list[tuple[int, LeadRecord, Score, list[str]]] = []
    for record in input._records:
        if least is not None and (record.budget is None or record.budget < least.budget):
            continue
        facts = Facts.from_record(record)
        matched = [term for term in wanted if any_of(facts.text, [term])]
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


def search_draft(input: LeadInput, prospects: list[Prospect]) -> LeadDraft:
    assert input.query is not None
    about = f" about {listing(terms(input.query))}" if terms(input.query) else ""
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
