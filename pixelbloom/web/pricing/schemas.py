"""The schemas of requests and responses about prices in the OpenAPI document."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field, WithJsonSchema

from pixelbloom.core.statuses import DiscountDuration, PackageInterval
from pixelbloom.database.cursors import PAIR_PATTERN, read_position_cursor
from pixelbloom.web.http.rendering import Body, Number, Page, Uuid, column
from pixelbloom.web.http.schemas import Limit, Shape, example, read_uuid

_ID = "7f1d3c5a-8f2e-4a6b-9c0d-1e2f3a4b5c6d"

PACKAGE: dict[str, Any] = {
    "id": _ID,
    "package_id": _ID,
    "name": "Growth",
    "description": None,
    "price": 149,
    "currency": "usd",
    "billing_interval": "month",
    "features": ["Three websites", "All agents"],
}
QUOTE: dict[str, Any] = {
    "package_id": _ID,
    "name": "Growth",
    "currency": "usd",
    "billing_interval": "month",
    "original_price": 149,
    "discount_amount": 29.8,
    "final_price": 119.2,
    "campaign": {
        "code": "WELCOME20",
        "applies": True,
        "reason": None,
        "message": None,
        "discount_type": "percentage",
        "discount_value": 20,
        "duration": "repeating",
        "duration_months": 3,
    },
    "periods": [{"first": 1, "last": 3, "price": 119.2}, {"first": 4, "last": None, "price": 149}],
}

Money = Annotated[
    Number,
    Field(description="In major units of the currency."),
    WithJsonSchema({"type": "number", "minimum": 0}),
]


class PackageBody(Body):
    """A package for sale."""

    model_config = example(PACKAGE)

    id: Uuid
    package_id: Uuid = column("id")
    name: str
    description: str | None
    price: Money
    currency: str = Field(description="ISO 4217, in lower case.")
    billing_interval: PackageInterval
    features: list[Any]


class PackageList(Page[PackageBody]):
    """Packages, in their display order."""


class PackagesQuery(Shape):
    """Which part of the packages."""

    limit: Limit = Field(200, ge=1, le=200, description="How many at most.")
    cursor: str | None = Field(None, pattern=PAIR_PATTERN, description="From `next_cursor`.")

    @property
    def after(self) -> tuple[int, str] | None:
        """The position and the name of the last package that was read."""
        return read_position_cursor(self.cursor) if self.cursor else None


class QuoteRequest(Shape):
    """A package and a campaign code."""

    model_config = example({"package_id": _ID, "campaign_code": "WELCOME20"}, extra="forbid")

    package_id: Annotated[UUID, BeforeValidator(read_uuid), WithJsonSchema({"type": "string", "format": "uuid"})]
    campaign_code: str | None = Field(
        None, min_length=1, max_length=50, pattern=r"^[^\x00]*$", description="Case-insensitive."
    )


class CampaignBody(Body):
    """The result of applying the code."""

    code: str
    applies: bool
    reason: (
        Literal[
            "unknown",
            "inactive",
            "not_started",
            "expired",
            "used_up",
            "used_up_by_user",
            "wrong_package",
            "wrong_currency",
        ]
        | None
    ) = Field(description="Why it does not apply; null if it does.")
    message: str | None = Field(description="The reason as a sentence.")
    discount_type: Literal["percentage", "fixed"] | None
    discount_value: Number | None = Field(description="Percent, or major units of the currency.")
    duration: DiscountDuration | None = Field(description="The first invoice, `duration_months`, or forever.")
    duration_months: int | None


class PeriodBody(Body):
    """The price of consecutive periods of a subscription."""

    first: int = Field(description="The first period; 1 is the one paid at the checkout.")
    last: int | None = Field(description="The last period; null if there is no end.")
    price: Money


class QuoteBody(Body):
    """The current price of a package."""

    model_config = example(QUOTE)

    package_id: Uuid
    name: str
    currency: str
    billing_interval: PackageInterval
    original_price: Money
    discount_amount: Money
    final_price: Money
    campaign: CampaignBody | None = Field(description="Null if no code was given.")
    periods: list[PeriodBody] = Field(description="The price of each period, as a discount may end.")
