"""Scores a lead from the facts known about it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal
from uuid import UUID

from pixelbloom.agents.knowledge.amounts import sums
from pixelbloom.agents.knowledge.services import SERVICES, Service, mentioned
from pixelbloom.agents.knowledge.timelines import weeks
from pixelbloom.agents.knowledge.words import any_of, listing, words
from pixelbloom.agents.lead_reader import LeadRecord

Tier = Literal["hot", "warm", "cold"]
#: The lowest score of a tier. The database notifies users of hot leads: `internal.thresholds` has the same number.
HOT_FROM = 70
WARM_FROM = 45

#: Maximum points per part; together 100.
MOST = {"budget": 30, "timeline": 20, "fit": 30, "contact": 20}

_SECTORS = {
    "SaaS and software": ("saas", "software", "tech", "technology", "it", "startup", "cloud", "app"),
    "retail": ("retail", "ecommerce", "e-commerce", "fashion", "shop", "consumer goods"),
    "health": ("health", "healthcare", "medical", "dental", "clinic", "wellness"),
    "education": ("education", "school", "university", "training", "edtech"),
    "hospitality": ("hospitality", "hotel", "restaurant", "travel", "tourism", "food"),
    "property": ("real estate", "property", "construction", "architecture"),
    "finance": ("finance", "fintech", "bank", "insurance", "accounting"),
    "professional services": ("consulting", "legal", "law", "agency", "professional services", "services"),
    "non-profit": ("nonprofit", "non-profit", "charity", "ngo"),
    "manufacturing": ("manufacturing", "industry", "industrial", "logistics"),
}
_FREE_MAIL_DOMAINS = (
    "gmail.com googlemail.com yahoo.com hotmail.com outlook.com live.com icloud.com aol.com gmx.de gmx.net web.de "
    "proton.me protonmail.com mail.com"
)
_FREE_MAIL = frozenset(_FREE_MAIL_DOMAINS.split())


@dataclass(frozen=True)
class Facts:
    """The facts known about a lead, from any source."""

    name: str | None = None
    email: str | None = None
    company: str | None = None
    industry: str | None = None
    budget: Decimal | None = None
    timeline: str | None = None
    message: str | None = None
    status: str = "new"
    lead_id: UUID | None = None

    @classmethod
    def from_record(cls, record: LeadRecord) -> "Facts":
        """Return the facts of a stored lead."""
        return cls(
            name=record.name,
            email=record.email,
            company=record.company,
            industry=record.industry,
            budget=record.budget,
            timeline=record.timeline,
            message=record.message,
            status=record.status,
            lead_id=record.id,
        )

    @property
    def text(self) -> str:
        """All text about the lead."""
        return " ".join(part for part in (self.name, self.company, self.industry, self.message) if part)


@dataclass(frozen=True)
class Score:
    """Points per part, with the reason for each, and the missing facts."""

    points: dict[str, int]
    reasons: tuple[str, ...]
    missing: tuple[str, ...] = ()
    services: tuple[Service, ...] = field(default=())

    @property
    def total(self) -> int:
        """0 to 100."""
        return sum(self.points.values())

    @property
    def tier(self) -> Tier:
        """The tier of the total."""
        return tier(self.total)


def tier(score: int) -> Tier:
    """Return the tier of a score from 0 to 100."""
    return "hot" if score >= HOT_FROM else "warm" if score >= WARM_FROM else "cold"


def score(facts: Facts) -> Score:
    """Score one lead."""
    services = mentioned(facts.message or "")
    budget, budget_reason = _budget(facts, services)
    timeline, timeline_reason = _timeline(facts)
    fit, fit_reason = _fit(facts, services)
    contact, contact_reason = _contact(facts)
    facts_by_name = {
        "budget": facts.budget is not None or bool(sums(facts.message or "")),
        "timeline": weeks(facts.timeline) is not None or weeks(facts.message) is not None,
        "needs": bool(facts.message),
        "company": bool(facts.company),
        "email": bool(facts.email),
    }
    return Score(
        points={"budget": budget, "timeline": timeline, "fit": fit, "contact": contact},
        reasons=(budget_reason, timeline_reason, fit_reason, contact_reason),
        missing=tuple(name for name, known in facts_by_name.items() if not known),
        services=services,
    )


def _budget(facts: Facts, services: Sequence[Service]) -> tuple[int, str]:
    budget, where = facts.budget, "A budget"
    if budget is None:
        budget, where = max(sums(facts.message or ""), default=None), "A budget named in the message"
    if budget is None:
        return 6, "No budget is known."
    wanted = sum((s.usual_price for s in services), Decimal(0)) or Decimal(10_000)
    about = listing(s.title for s in services) or "a usual project"
    least = sum((s.entry_price for s in services), Decimal(0)) or min(s.entry_price for s in SERVICES)
    # The square root: the first half of the money says more about a lead than the second.
    points = round(MOST["budget"] * min(1.0, float(budget / wanted) ** 0.5))
    if budget < least:
        return points, f"{where} of {budget:,.0f} is below the {least:,.0f} at which {about} starts."
    judged = "covers" if budget >= wanted else "can start"
    return points, f"{where} of {budget:,.0f} {judged} {about} (usually {wanted:,.0f})."


def _timeline(facts: Facts) -> tuple[int, str]:
    soon = weeks(facts.timeline)
    if soon is None:
        soon = weeks(facts.message)
    if soon is None:
        return 5, "No timeline is known."
    for most, points, judged in ((4, 20, "at once"), (13, 16, "this quarter"), (27, 9, "within half a year")):
        if soon <= most:
            return points, f"Wants to start {judged} (about {soon:.0f} weeks)."
    return 2, f"Has time: about {soon:.0f} weeks."


def _fit(facts: Facts, services: Sequence[Service]) -> tuple[int, str]:
    points = 0
    reasons = []
    if services:
        points += 18 if len(services) > 1 else 15
        reasons.append(f"asks for {listing(s.title for s in services)}")
    sector = _sector(facts)
    if sector:
        points += 8
        reasons.append(f"works in {sector}, which we serve")
    if len(words(facts.message or "")) >= 20:
        points += 4
        reasons.append("describes the need in detail")
    if not reasons:
        return 3, "Nothing says yet what is needed."
    said = "; ".join(reasons)
    return points, f"{said[0].upper()}{said[1:]}."


def _sector(facts: Facts) -> str | None:
    for text in (facts.industry, facts.company, facts.message):
        for sector, signs in _SECTORS.items():
            if text and any_of(text, signs):
                return sector
    return None


def _contact(facts: Facts) -> tuple[int, str]:
    points = 0
    known = []
    domain = (facts.email or "").rpartition("@")[2].lower()
    if domain and domain not in _FREE_MAIL:
        points += 9
        known.append("a business email")
    elif domain:
        points += 4
        known.append("a private email")
    if facts.company:
        points += 8
        known.append("a company")
    if facts.name:
        points += 3
        known.append("a name")
    return points, f"Gives {listing(known)}." if known else "No way to get in touch is known."
