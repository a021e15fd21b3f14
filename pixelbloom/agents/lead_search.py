"""The search of lead_agent: ranks stored leads by a query."""

import re
from decimal import Decimal
from typing import NamedTuple

from pixelbloom.agents.knowledge.amounts import leading
from pixelbloom.agents.knowledge.scoring import Facts, Score, score
from pixelbloom.agents.knowledge.words import any_of, keywords, listing, plural
from pixelbloom.agents.lead_fields import LeadDraft, LeadInput, Prospect
from pixelbloom.agents.lead_reader import LeadRecord

_AT_LEAST = re.compile(r"\b(?:over|above|more than|at least|from|minimum|min)\s+", re.I)
_SEARCH_ONLY = frozenset({"budget", "budgets", "above", "least", "than", "minimum", "min", "industry", "company"})
_OPEN = frozenset({"new", "contacted", "qualified"})


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
