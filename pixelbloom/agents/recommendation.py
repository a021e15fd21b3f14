"""recommendation_agent: recommends services for a company's goals and budget."""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from pixelbloom.agents.base import StructuredAgent
from pixelbloom.agents.fields import (
    AgentInput,
    AgentOutput,
    Amount,
    Brief,
    Draft,
    DraftLine,
    DraftLines,
    DraftText,
    Label,
    Money,
)
from pixelbloom.agents.knowledge.described import given
from pixelbloom.agents.knowledge.services import BY_KEY, SERVICES, Goal, Service, ServiceKey, mentioned
from pixelbloom.agents.knowledge.words import any_of, listing
from pixelbloom.models.catalog import GENERAL

#: Common names of the goals.
_GOAL_WORDS: dict[Goal, tuple[str, ...]] = {
    "more_leads": ("lead", "enquiries", "inquiries", "customers", "sign-up", "signup", "appointments", "traffic"),
    "online_sales": ("sales", "sell", "revenue", "orders", "shop", "store", "checkout", "ecommerce"),
    "brand_awareness": ("awareness", "brand", "visibility", "known", "reach", "recognition", "image"),
    "new_website": ("website", "web site", "redesign", "relaunch", "landing page", "online presence"),
    "better_conversion": ("conversion", "convert", "bounce", "usability", "ux", "optimise", "optimize"),
    "customer_retention": ("retention", "loyalty", "repeat", "churn", "newsletter", "community"),
    "market_insight": ("insight", "analytics", "report", "data", "measure", "tracking", "dashboard"),
    "save_time": ("time", "automate", "automation", "maintenance", "support", "outsource", "efficiency"),
}
#: A service that serves the goals less than this is not recommended.
_LEAST_SCORE = 15


class RecommendationInput(AgentInput):
    """A company's goals and means."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "goals": ["more leads", "new website"],
                    "budget": 15000,
                    "industry": "dental clinic",
                    "current_services": ["care"],
                    "description": "Our site is ten years old and patients cannot book online.",
                }
            ],
            "anyOf": [given("goals", goals={"minItems": 1}), given("description")],
        }
    )

    goals: list[Annotated[str, StringConstraints(min_length=1, max_length=200)]] = Field(
        default=[], max_length=10, description=f"What to reach, in plain words or as keys: {', '.join(_GOAL_WORDS)}."
    )
    budget: Amount | None = Field(None, description="Budget for the first year in US dollars.")
    industry: Label | None = Field(None, description="Industry.")
    current_services: list[ServiceKey] = Field(
        default=[], max_length=8, description="Services that the company has already."
    )
    description: Brief | None = Field(None, description="The situation, in the company's own words.")

    @model_validator(mode="after")
    def _some_wish(self) -> "RecommendationInput":
        """Check what `anyOf` in the schema requires."""
        if not self.goals and not self.description:
            raise ValueError("must have `goals`, or a `description` of what is wanted")
        return self


class Recommendation(BaseModel):
    """One service that fits."""

    model_config = ConfigDict(frozen=True)

    rank: int = Field(ge=1, description="1 fits best.")
    service: ServiceKey = Field(description="The service.")
    title: str = Field(description="Its name.")
    score: int = Field(ge=0, le=100, description="How well it serves the goals.")
    price_from: Money = Field(description="Lowest price for a first year in US dollars.")
    price_usual: Money = Field(description="Usual price for a first year in US dollars.")
    monthly: bool = Field(description="Whether it is paid by the month; prices are of 12 months.")
    weeks: int = Field(description="Weeks until it is done, or until first results.")
    within_budget: bool | None = Field(description="Whether it fits beside the better ones; null without a budget.")
    serves: list[Goal] = Field(description="The goals that it serves.")
    reason: str = Field(description="Why it is recommended.")


class RecommendationOutput(AgentOutput):
    """The services that fit, best first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "summary": "A new website first, then search engine optimisation.",
                    "goals": ["more_leads", "new_website"],
                    "unknown_goals": [],
                    "recommendations": [],
                    "plan": ["web_development"],
                    "plan_price_from": 4000,
                    "budget_left": 11000,
                    "next_steps": ["Agree on the pages of the new website."],
                }
            ]
        }
    )

    summary: str = Field(description="The advice in a few sentences.")
    goals: list[Goal] = Field(description="The goals as understood.")
    unknown_goals: list[str] = Field(description="Goals that were not understood and not used.")
    recommendations: list[Recommendation] = Field(description="Services that serve the goals, best first.")
    plan: list[ServiceKey] = Field(description="Those to begin with: together within the budget.")
    plan_price_from: Money = Field(description="Their lowest price together, for a first year.")
    budget_left: Money | None = Field(description="What the budget leaves; null without a budget.")
    next_steps: list[str] = Field(description="What to do first.")


def _by_service(value: Any) -> Any:
    """Select the reasons of existing services; a model may name others."""
    if not isinstance(value, list):
        return value
    return [item for item in value if isinstance(item, dict) and item.get("service") in BY_KEY][:8]


class Reason(Draft):
    """Why one service is recommended."""

    service: ServiceKey = Field(description="key of the service")
    reason: DraftLine = Field(description="why it helps this company")


class RecommendationDraft(Draft):
    """A consultant's draft."""

    summary: DraftText = Field(description="the advice in two to four sentences, to the company")
    reasons: Annotated[list[Reason], BeforeValidator(_by_service)] = Field(
        max_length=8, description="list of {service, reason}, one for each recommended service"
    )
    next_steps: DraftLines = Field(description="list of two to five first steps")


class RecommendationAgent(StructuredAgent[RecommendationInput, RecommendationDraft, RecommendationOutput]):
    """Matches services to goals, within the budget."""

    agent_type = "recommendation_agent"
    writes = "recommendations"
    title = "Service recommendations"
    description = "Recommends services of the agency by goals, budget and what the company already has."
    capabilities = ("service matching", "budget planning", "first steps")
    model = GENERAL
    max_tokens = 1000
    input = RecommendationInput
    output = RecommendationOutput
    draft = RecommendationDraft
    role = "a consultant who advises companies honestly, also against a sale"
    guidance = (
        "Speak only of the recommended services, in their order; say what each does for this company.",
        "Where the budget is too small for everything, say what to do first and what can wait.",
    )
    task = "Explain these recommendations to the company."

    def facts(self, input: RecommendationInput) -> dict[str, Any]:
        """Return the ranked services with their prices, and the plan."""
        ranked = _rank(input)
        return {
            "recommended": [
                {
                    "service": service.key,
                    "title": service.title,
                    "score": score,
                    "price_from": _year(service.entry_price, service),
                    "weeks": service.weeks,
                    "what": service.summary,
                }
                for service, score in ranked
            ],
            "plan_within_budget": [s.key for s in _plan(ranked, input.budget)],
        }

    def rules(self, input: RecommendationInput) -> RecommendationDraft:
        """Return reasons by goal, and first steps by the plan."""
        ranked = _rank(input)
        plan = _plan(ranked, input.budget)
        goals, unknown = understood(input)
        if plan:
            summary = f"Begin with {listing(s.title.lower() for s in plan)}."
            if later := [s.title.lower() for s, _ in ranked if s not in plan]:
                summary += f" Later: {listing(later)}."
        elif ranked:
            least = min(_year(s.entry_price, s) for s, _ in ranked)
            summary = f"The budget is below what fits: the least costly of it starts at {least:,.0f} dollars."
        else:
            summary = "Nothing that you do not have already serves these goals; tell us more about what you want."
        if unknown:
            summary += f" Not understood: {listing(unknown)}."
        steps = [f"Agree on scope and date for {s.title.lower()} ({s.weeks} weeks)." for s in plan[:3]]
        return RecommendationDraft(
            summary=summary,
            reasons=[Reason(service=s.key, reason=_reason(s, goals)) for s, _ in ranked],
            next_steps=[*steps, "Tell us how you will know that it worked, so that we can measure it."],
        )

    def compose(self, draft: RecommendationDraft, input: RecommendationInput) -> RecommendationOutput:
        """Combine the ranking and prices with the draft's text."""
        goals, unknown = understood(input)
        ranked = _rank(input)
        plan = _plan(ranked, input.budget)
        said = {item.service: item.reason for item in draft.reasons}
        price = sum((_year(s.entry_price, s) for s in plan), Decimal(0))
        return RecommendationOutput(
            summary=draft.summary,
            goals=goals,
            unknown_goals=unknown,
            recommendations=[
                Recommendation(
                    rank=place,
                    service=service.key,
                    title=service.title,
                    score=score,
                    price_from=_year(service.entry_price, service),
                    price_usual=_year(service.usual_price, service),
                    monthly=service.monthly,
                    weeks=service.weeks,
                    within_budget=None if input.budget is None else service in plan,
                    serves=[goal for goal in goals if goal in service.serves],
                    reason=said.get(service.key) or _reason(service, goals),
                )
                for place, (service, score) in enumerate(ranked, start=1)
            ],
            plan=[service.key for service in plan],
            plan_price_from=price,
            budget_left=None if input.budget is None else input.budget - price,
            next_steps=draft.next_steps,
        )


def understood(input: RecommendationInput) -> tuple[list[Goal], list[str]]:
    """Return the goals by key, and those not understood."""
    goals: list[Goal] = []
    unknown: list[str] = []
    for said in input.goals:
        found = _goals_in(said)
        goals += found
        if not found:
            unknown.append(said)
    if not goals and input.description:
        goals = _goals_in(input.description)
    return list(dict.fromkeys(goals)), unknown


def _goals_in(text: str) -> list[Goal]:
    key = text.strip().lower().replace(" ", "_").replace("-", "_")
    return [goal for goal, signs in _GOAL_WORDS.items() if goal == key] or [
        goal for goal, signs in _GOAL_WORDS.items() if any_of(text, signs)
    ]


def _rank(input: RecommendationInput) -> list[tuple[Service, int]]:
    """Return the services that the company lacks and that serve the goals, scored 0 to 100."""
    goals, _ = understood(input)
    asked = mentioned(input.description or "")
    ranked = []
    for service in SERVICES:
        if service.key in input.current_services:
            continue
        served = sum(service.serves.get(goal, 0.0) for goal in goals) / max(1, len(goals))
        score = min(100, round(80 * served) + (20 if service in asked else 0))
        if score >= _LEAST_SCORE:
            ranked.append((service, score))
    return sorted(ranked, key=lambda item: -item[1])


def _plan(ranked: list[tuple[Service, int]], budget: Decimal | None) -> list[Service]:
    """Return the best services that fit into the budget at their lowest prices; without a budget, the best three."""
    if budget is None:
        return [service for service, _ in ranked[:3]]
    plan = []
    left = budget
    for service, _ in ranked:
        price = _year(service.entry_price, service)
        if price <= left:
            plan.append(service)
            left -= price
    return plan


def _year(price: Decimal, service: Service) -> Decimal:
    return price * 12 if service.monthly else price


def _reason(service: Service, goals: list[Goal]) -> str:
    served = [goal.replace("_", " ") for goal in goals if goal in service.serves]
    return f"{service.summary} It serves: {listing(served)}." if served else f"{service.summary} You asked for it."
