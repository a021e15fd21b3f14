"""lead_agent: qualifies one lead, or finds the best among the stored ones."""

from typing import Any

from pixelbloom.agents.base import AgentContext, StructuredAgent
from pixelbloom.agents.knowledge.scoring import Score, score, tier
from pixelbloom.agents.knowledge.words import listing
from pixelbloom.agents.lead_fields import LeadDraft, LeadInput, LeadOutput
from pixelbloom.agents.lead_reader import LeadRecord
from pixelbloom.agents.lead_search import ranked, search_draft, terms
from pixelbloom.errors import StepRejected
from pixelbloom.models.catalog import GENERAL


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
