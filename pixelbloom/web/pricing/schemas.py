"""The schemas of requests and responses about prices in the OpenAPI document."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

from pixelbloom.core.statuses import DiscountDuration, PackageInterval
from pixelbloom.web.http.pair_cursors import PAIR_PATTERN
from pixelbloom.web.http.schemas import Shape, Uuid, read_limit, read_uuid

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

Money = Annotated[float, Field(ge=0, description="In major units of the currency.")]


class PackageBody(Shape):
    """A package for sale."""

    id: Uuid
    package_id: Uuid
    name: str
    description: str | None
    price: Money
    currency: str = Field(description="ISO 4217, in lower case.")
    billing_interval: PackageInterval
    features: list[Any]


class PackageList(Shape):
    """Packages, in their display order."""

    items: list[PackageBody]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last one.")


class PackagesQuery(Shape):
    """Which part of the packages."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, BeforeValidator(read_limit)] = Field(200, ge=1, le=200, description="How many at most.")
    cursor: str | None = Field(None, pattern=PAIR_PATTERN, description="From `next_cursor`.")


class QuoteRequest(Shape):
    """A package and a campaign code."""

    model_config = ConfigDict(
        extra="forbid",
        openapi_extra={"example": {"package_id": _ID, "campaign_code": "WELCOME20"}},  # type: ignore[typeddict-unknown-key]
    )

    package_id: Annotated[UUID, BeforeValidator(read_uuid), WithJsonSchema({"type": "string", "format": "uuid"})]
    campaign_code: str | None = Field(
        None, min_length=1, max_length=50, pattern=r"^[^\x00]*$", description="Case-insensitive."
    )


class CampaignBody(Shape):
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
    discount_value: float | None = Field(description="Percent, or major units of the currency.")
    duration: DiscountDuration | None = Field(description="The first invoice, `duration_months`, or forever.")
    duration_months: int | None


class PeriodBody(Shape):
    """The price of consecutive periods of a subscription."""

    first: int = Field(description="The first period; 1 is the one paid at the checkout.")
    last: int | None = Field(description="The last period; null if there is no end.")
    price: Money


class QuoteBody(Shape):
    """The current price of a package."""

    package_id: Uuid
    name: str
    currency: str
    billing_interval: PackageInterval
    original_price: Money
    discount_amount: Money
    final_price: Money
    campaign: CampaignBody | None = Field(description="Null if no code was given.")
    periods: list[PeriodBody] = Field(description="The price of each period, as a discount may end.")
