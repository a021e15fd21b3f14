"""digital_marketing_agent: plans a marketing budget."""

from decimal import ROUND_DOWN, Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pixelbloom.agents.base import StructuredAgent
from pixelbloom.agents.fields import (
    NUMBER,
    AgentInput,
    AgentOutput,
    Brief,
    Currency,
    Draft,
    DraftLines,
    DraftText,
    Line,
    Money,
    PositiveAmount,
)
from pixelbloom.agents.knowledge.words import listing
from pixelbloom.models.catalog import WRITER

Channel = Literal["search_ads", "social_ads", "seo", "content", "email", "display"]
MarketingGoal = Literal["awareness", "leads", "sales", "retention"]

#: Weight of each channel for each goal.
_WEIGHTS: dict[MarketingGoal, dict[Channel, int]] = {
    "awareness": {"social_ads": 40, "display": 20, "content": 20, "seo": 15, "search_ads": 5},
    "leads": {"search_ads": 40, "social_ads": 20, "seo": 20, "content": 15, "email": 5},
    "sales": {"search_ads": 45, "social_ads": 30, "email": 10, "seo": 10, "display": 5},
    "retention": {"email": 50, "content": 25, "social_ads": 20, "display": 5},
}
#: The minimum monthly amount with measurable results.
_LEAST: dict[Channel, int] = {
    "search_ads": 300,
    "social_ads": 200,
    "seo": 500,
    "content": 300,
    "email": 50,
    "display": 250,
}
#: Assumed cost of a visit in dollars, and conversion rate; the output lists these assumptions.
_VISIT_COST: dict[Channel, Decimal] = {
    "search_ads": Decimal("2.40"),
    "social_ads": Decimal("0.95"),
    "seo": Decimal("1.10"),
    "content": Decimal("1.30"),
    "email": Decimal("0.20"),
    "display": Decimal("0.60"),
}
#: Currencies close enough to the dollar for those assumptions; others get a split without a forecast.
_COMPARABLE = frozenset({"usd", "eur", "gbp", "chf", "cad", "aud", "nzd"})
_CONVERSION: dict[Channel, Decimal] = {
    "search_ads": Decimal("0.040"),
    "social_ads": Decimal("0.015"),
    "seo": Decimal("0.028"),
    "content": Decimal("0.012"),
    "email": Decimal("0.035"),
    "display": Decimal("0.005"),
}
_KPIS: dict[MarketingGoal, list[str]] = {
    "awareness": ["Reach and frequency", "Branded searches", "Cost per thousand views"],
    "leads": ["Cost per lead", "Share of qualified leads", "Leads per channel"],
    "sales": ["Return on ad spend", "Cost per order", "Average order value"],
    "retention": ["Repeat purchase rate", "Unsubscribe rate", "Revenue per recipient"],
}


class DigitalMarketingInput(AgentInput):
    """The goal and the means of a campaign."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "goal": "leads",
                    "monthly_budget": 4000,
                    "currency": "usd",
                    "months": 3,
                    "product": "Bookkeeping software for craftspeople",
                    "audience": "Owners of workshops with 2 to 20 people",
                    "value_per_conversion": 180,
                }
            ]
        }
    )

    goal: MarketingGoal = Field(description="What the campaign is for.")
    monthly_budget: PositiveAmount = Field(description="Money to spend in a month.")
    product: Brief = Field(description="What is offered.")
    audience: Line | None = Field(None, description="Whom to reach.")
    channels: list[Channel] = Field(
        default=[], max_length=6, description="Only these channels; empty for all that fit the goal."
    )
    months: Annotated[int, Field(ge=1, le=24), NUMBER] = Field(3, description="How long it runs.")
    value_per_conversion: PositiveAmount | None = Field(None, description="What one lead or order is worth.")
    currency: Currency = Field("usd", description="Currency, as ISO 4217.")


class Allocation(BaseModel):
    """A channel's part of a month."""

    model_config = ConfigDict(frozen=True)

    channel: Channel = Field(description="The channel.")
    amount: Money = Field(description="Money a month.")
    share: float = Field(ge=0, le=1, description="Part of the budget.")
    visits: int | None = Field(ge=0, description="Expected visits a month; null where we have no rates.")
    conversions: float | None = Field(ge=0, description="Expected leads or orders a month.")


class DigitalMarketingOutput(AgentOutput):
    """The plan."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "summary": "Search ads carry the campaign.",
                    "currency": "usd",
                    "allocation": [
                        {"channel": "search_ads", "amount": 1600, "share": 0.4, "visits": 666, "conversions": 26.7}
                    ],
                    "left_out": [],
                    "total_budget": 12000,
                    "expected_conversions": 160.2,
                    "assumptions": ["search ads: 2.40 a visit, 4.0% of visits convert"],
                    "cost_per_conversion": 74.91,
                    "expected_return": 2.4,
                    "kpis": ["Cost per lead"],
                    "messages": ["Books done by Friday."],
                    "next_steps": ["Set up conversion tracking."],
                }
            ]
        }
    )

    summary: str = Field(description="The plan in words.")
    currency: str = Field(description="Currency of all amounts.")
    allocation: list[Allocation] = Field(description="The month's budget by channel; the amounts add up to it.")
    left_out: list[Channel] = Field(description="Channels that the budget is too small for, or the goal unfit.")
    total_budget: Money = Field(description="Budget of all months.")
    expected_conversions: float | None = Field(ge=0, description="Leads or orders over all months.")
    assumptions: list[str] = Field(description="The rates behind the expected numbers.")
    cost_per_conversion: Money | None = Field(description="Budget by expected conversions; null where none are.")
    expected_return: float | None = Field(description="Value of the conversions by the budget; null without value.")
    kpis: list[str] = Field(description="What to measure.")
    messages: list[str] = Field(description="Ideas for headlines and mails.")
    next_steps: list[str] = Field(description="What to do first.")


class DigitalMarketingDraft(Draft):
    """A campaign manager's draft."""

    summary: DraftText = Field(description="the plan in two to four sentences, with why the budget is split so")
    messages: DraftLines = Field(description="list of three to six headlines or subject lines for this audience")
    next_steps: DraftLines = Field(description="list of three to six first steps, in order")


class DigitalMarketingAgent(StructuredAgent[DigitalMarketingInput, DigitalMarketingDraft, DigitalMarketingOutput]):
    """Splits a budget over channels by goal, and forecasts the results."""

    agent_type = "digital_marketing_agent"
    writes = "content"
    title = "Digital marketing"
    description = "Splits a campaign's budget over channels by its goal, with expected results and first messages."
    capabilities = ("budget split", "forecast of visits and conversions", "campaign messages", "measures")
    model = WRITER
    max_tokens = 900
    input = DigitalMarketingInput
    output = DigitalMarketingOutput
    draft = DigitalMarketingDraft
    role = "a campaign manager"
    guidance = (
        "Headlines say what the customer gains, in at most 60 characters, without superlatives or false urgency.",
        "Treat the expected visits and conversions as assumptions, and say so.",
    )
    task = "Plan this campaign."

    def facts(self, input: DigitalMarketingInput) -> dict[str, Any]:
        """Return the split and its expected results."""
        allocation, left_out = allocate(input)
        return {"allocation": [part.model_dump(mode="json") for part in allocation], "left_out": left_out}

    def rules(self, input: DigitalMarketingInput) -> DigitalMarketingDraft:
        """Return a draft for the split."""
        allocation, left_out = allocate(input)
        first = allocation[0]
        names = listing(f"{_name(part.channel)} ({part.share:.0%})" for part in allocation)
        note = f" Left out: {listing(_name(channel) for channel in left_out)}." if left_out else ""
        offer = input.product.splitlines()[0][:80]
        audience = f" for {input.audience}" if input.audience else ""
        return DigitalMarketingDraft(
            summary=f"For {input.goal}, the month's budget goes to {names}.{note}",
            messages=[offer, f"{offer}{audience}", f"See what {offer} can do{audience}"],
            next_steps=[
                "Set up conversion tracking before the first money is spent.",
                f"Start with {_name(first.channel)}: {first.amount:,.2f} {input.currency.upper()} a month.",
                f"Watch: {listing(_KPIS[input.goal])}.",
                "After four weeks, move money from the dearest channel to the cheapest one.",
            ],
        )

    def compose(self, draft: DigitalMarketingDraft, input: DigitalMarketingInput) -> DigitalMarketingOutput:
        """Combine the numbers with the draft's text."""
        allocation, left_out = allocate(input)
        total = input.monthly_budget * input.months
        known = [part.conversions for part in allocation if part.conversions is not None]
        conversions = Decimal(str(round(sum(known), 1))) * input.months if known else None
        value = input.value_per_conversion
        return DigitalMarketingOutput(
            summary=draft.summary,
            currency=input.currency,
            allocation=allocation,
            left_out=left_out,
            total_budget=total,
            expected_conversions=None if conversions is None else float(conversions),
            assumptions=[_assumption(part.channel) for part in allocation if part.visits is not None],
            cost_per_conversion=round(total / conversions, 2) if conversions else None,
            expected_return=round(float(conversions * value / total), 2) if value and conversions is not None else None,
            kpis=_KPIS[input.goal],
            messages=draft.messages,
            next_steps=draft.next_steps,
        )


def allocate(input: DigitalMarketingInput) -> tuple[list[Allocation], list[Channel]]:
    """The channels with their amounts, largest first, and those left out.

    The least fitting channel whose part is too small to work is dropped and its part goes to the others, until every
    part is large enough or one channel is left. The amounts are whole cents and add up to the budget exactly.
    """
    weights = _WEIGHTS[input.goal]
    wanted: list[Channel] = list(dict.fromkeys(input.channels)) or list(weights)
    # A channel that was asked for by name but does not fit the goal still gets a little.
    chosen = {channel: weights.get(channel, 5) for channel in wanted}
    while len(chosen) > 1:
        parts = _split(input.monthly_budget, chosen)
        small = [c for c in chosen if input.currency in _COMPARABLE and parts[c] < _LEAST[c]]
        if not small:
            break
        del chosen[min(small, key=lambda channel: chosen[channel])]
    parts = _split(input.monthly_budget, chosen)
    allocation = [_expect(channel, parts[channel], input) for channel in chosen]
    allocation.sort(key=lambda part: -part.amount)
    return allocation, [channel for channel in (wanted if input.channels else weights) if channel not in chosen]


def _split(budget: Decimal, weights: dict[Channel, int]) -> dict[Channel, Decimal]:
    total = sum(weights.values())
    cent = Decimal("0.01")
    parts = {c: (budget * weight / total).quantize(cent, ROUND_DOWN) for c, weight in weights.items()}
    largest = max(weights, key=lambda channel: weights[channel])
    parts[largest] += budget - sum(parts.values(), Decimal(0))
    return parts


def _expect(channel: Channel, amount: Decimal, input: DigitalMarketingInput) -> Allocation:
    visits = int(amount / _VISIT_COST[channel]) if input.currency in _COMPARABLE else None
    return Allocation(
        channel=channel,
        amount=amount,
        share=round(float(amount / input.monthly_budget), 4),
        visits=visits,
        conversions=None if visits is None else round(float(visits * _CONVERSION[channel]), 1),
    )


def _assumption(channel: Channel) -> str:
    return f"{_name(channel)}: {_VISIT_COST[channel]} a visit, {_CONVERSION[channel]:.1%} of visits convert"


def _name(channel: Channel) -> str:
    return "SEO" if channel == "seo" else channel.replace("_", " ")
