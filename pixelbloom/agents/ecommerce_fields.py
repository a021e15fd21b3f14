"""The input, the output and the draft of ecommerce_agent."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pixelbloom.agents.fields import (
    NUMBER,
    AgentInput,
    AgentOutput,
    Amount,
    Brief,
    Currency,
    Draft,
    DraftLines,
    DraftText,
    Label,
    Money,
)
from pixelbloom.agents.knowledge.described import given
from pixelbloom.core.absent import NullIsAbsent

Count = Annotated[int, Field(ge=0, le=1_000_000_000), NUMBER]


class Product(NullIsAbsent):
    """A product and what was sold of it."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    name: Label = Field(description="Name.")
    price: Amount = Field(description="Price of one, without tax.")
    cost: Amount | None = Field(None, description="What one costs to buy or make.")
    units_sold: Count = Field(0, description="Sold in the period.")
    units_returned: Count = Field(0, description="Returned in the period, whenever they were sold.")
    stock: Count | None = Field(None, description="In stock now.")


#: Without products, one of these.
_TOTALS = ("visitors", "carts", "orders", "revenue", "marketing_spend")


class EcommerceInput(AgentInput):
    """The numbers of a period; give what is known."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "shop": "Clay & Co",
                    "period_days": 30,
                    "visitors": 8200,
                    "orders": 164,
                    "marketing_spend": 1200,
                    "products": [
                        {"name": "Mug", "price": 24, "cost": 9.5, "units_sold": 210, "stock": 90},
                        {"name": "Vase", "price": 68, "cost": 41, "units_sold": 35, "units_returned": 7, "stock": 400},
                    ],
                    "question": "Where do we lose money?",
                }
            ],
            "anyOf": [given("products", products={"minItems": 1}), *map(given, _TOTALS)],
        }
    )

    shop: Label | None = Field(None, description="Name of the shop.")
    question: Brief | None = Field(None, description="What the owner wants to know.")
    period_days: Annotated[int, Field(ge=1, le=366), NUMBER] = Field(30, description="Days that the numbers are about.")
    visitors: Count | None = Field(None, description="Visits in the period.")
    carts: Count | None = Field(None, description="Visits that put something into the cart.")
    orders: Count | None = Field(None, description="Orders in the period.")
    revenue: Amount | None = Field(None, description="Revenue; computed from the products where it is missing.")
    marketing_spend: Amount | None = Field(None, description="Money spent on marketing.")
    products: list[Product] = Field(default=[], max_length=200, description="Products.")
    currency: Currency = Field("usd", description="Currency, as ISO 4217.")

    @model_validator(mode="after")
    def _some_numbers(self) -> "EcommerceInput":
        """Check what `anyOf` in the schema requires."""
        if not self.products and all(getattr(self, name) is None for name in _TOTALS):
            raise ValueError("must have numbers: `products`, or `visitors`, `orders` and `revenue`")
        return self


class ShopMetrics(BaseModel):
    """Computed measures; null where the numbers for one are missing."""

    model_config = ConfigDict(frozen=True)

    revenue: Money | None = Field(description="As given, or the sum of price by units sold, less returns.")
    average_order_value: Money | None = Field(description="Revenue by orders.")
    conversion_rate: float | None = Field(description="Orders by visitors, 0 to 1; null where there were more orders.")
    cart_abandonment: float | None = Field(
        description="Part of the carts that became no order, 0 to 1; null where orders are more."
    )
    gross_margin: Money | None = Field(description="Of the products whose cost is known.")
    gross_margin_rate: float | None = Field(description="That margin by those products' revenue.")
    return_on_ad_spend: float | None = Field(description="Revenue by marketing spend.")
    cost_per_order: Money | None = Field(description="Marketing spend by orders.")
    profit_after_marketing: Money | None = Field(description="Gross margin less marketing spend.")


class ProductMetrics(BaseModel):
    """A product's numbers."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="Name.")
    revenue: Money = Field(description="Price by units sold, less those returned; below 0 where more came back.")
    margin: Money | None = Field(description="Price less cost, by units not returned; null without a cost.")
    margin_rate: float | None = Field(description="Part of the price that is margin.")
    return_rate: float | None = Field(
        description="Part of the units that came back; null where none was sold, or more came back than were."
    )
    stock_days: int | None = Field(description="Days that the stock lasts at this pace; null where it cannot be said.")


class EcommerceOutput(AgentOutput):
    """Measures, findings and what to do."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "summary": "The shop converts 2.0% of its visits.",
                    "currency": "usd",
                    "metrics": {
                        "revenue": 6944,
                        "average_order_value": 42.34,
                        "conversion_rate": 0.02,
                        "cart_abandonment": None,
                        "gross_margin": 3801,
                        "gross_margin_rate": 0.547,
                        "return_on_ad_spend": 5.79,
                        "cost_per_order": 7.32,
                        "profit_after_marketing": 2601,
                    },
                    "products": [],
                    "findings": ["Vase: 20% came back."],
                    "actions": ["Find out why vases come back."],
                }
            ]
        }
    )

    summary: str = Field(description="The state of the shop in words.")
    currency: str = Field(description="Currency of all amounts.")
    metrics: ShopMetrics = Field(description="Measures of the whole shop.")
    products: list[ProductMetrics] = Field(description="Products, the one with the most margin first.")
    findings: list[str] = Field(description="What stands out, found by rule.")
    actions: list[str] = Field(description="What to do, first things first.")


class EcommerceDraft(Draft):
    """A shop consultant's draft."""

    summary: DraftText = Field(description="the state of the shop in two to four sentences; answer the question if any")
    actions: DraftLines = Field(description="list of two to six actions, the one with the most effect first")
