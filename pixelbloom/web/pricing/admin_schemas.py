"""The schemas of requests and responses about the administration of packages and campaigns."""

from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from pixelbloom.core.statuses import DiscountDuration, PackageInterval, RedemptionState
from pixelbloom.web.http.rendering import Body, Number, Page, Time, Uuid, Versioned, column
from pixelbloom.web.http.schemas import (
    USER_ID,
    Changes,
    Limit,
    Moment,
    PageQuery,
    Shape,
    UserId,
    example,
    read_count,
    read_uuid,
)
from pixelbloom.web.pricing import schemas as pricing_schemas
from pixelbloom.web.pricing.schemas import PackageBody

_ID = pricing_schemas.PACKAGE["package_id"]
_CAMPAIGN = "1f0e9d8c-7b6a-4c5d-9e4f-3a2b1c0d9e8f"
_AT = "2026-01-31T12:00:00.000000Z"
#: As numeric(16, 3) stores it.
MAX_MONEY = 1_000_000_000_000

PACKAGE: dict[str, Any] = {
    **pricing_schemas.PACKAGE,
    "stripe_price_id": "price_123",
    "active": True,
    "position": 1,
    "version": 1,
    "created_at": _AT,
    "updated_at": _AT,
}
CAMPAIGN: dict[str, Any] = {
    "id": _CAMPAIGN,
    "campaign_id": _CAMPAIGN,
    "code": "WELCOME20",
    "description": None,
    "discount_type": "percentage",
    "discount_value": 20,
    "currency": None,
    "package_ids": [_ID],
    "duration": "repeating",
    "duration_months": 3,
    "max_uses": 500,
    "max_uses_per_user": 1,
    "uses": 12,
    "starts_at": None,
    "ends_at": "2027-01-01T00:00:00.000000Z",
    "active": True,
    "version": 1,
    "created_at": _AT,
    "updated_at": _AT,
}
REDEMPTION: dict[str, Any] = {
    "id": "9c8b7a6f-5e4d-4c3b-8a29-1f0e9d8c7b6a",
    "redemption_id": "9c8b7a6f-5e4d-4c3b-8a29-1f0e9d8c7b6a",
    "campaign_id": _CAMPAIGN,
    "package_id": _ID,
    "user_id": USER_ID,
    "state": "open",
    "stripe_session_id": "cs_test_a1b2c3",
    "created_at": _AT,
    "expires_at": "2026-01-31T12:35:00.000000Z",
    "completed_at": None,
    "released_at": None,
}
_NEW_PACKAGE = {
    name: PACKAGE[name] for name in ("name", "price", "currency", "billing_interval", "features", "stripe_price_id")
}
_NEW_CAMPAIGN = {
    name: CAMPAIGN[name]
    for name in ("code", "discount_type", "discount_value", "duration", "duration_months", "max_uses", "ends_at")
}


def _money(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")
    return Decimal(str(value))


_NUMBER = WithJsonSchema({"type": "number", "minimum": 0, "exclusiveMaximum": MAX_MONEY})
_MORE = WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": MAX_MONEY})
Price = Annotated[Decimal, BeforeValidator(_money), Field(ge=0, lt=MAX_MONEY), _NUMBER]
Value = Annotated[Decimal, BeforeValidator(_money), Field(gt=0, lt=MAX_MONEY), _MORE]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
Currency = Annotated[str, Field(pattern=r"^[a-z]{3}$")]
Feature = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
PriceId = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[!-~]+$")]
Code = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{3,50}$")]
Package = Annotated[UUID, BeforeValidator(read_uuid), WithJsonSchema({"type": "string", "format": "uuid"})]


Description = Annotated[str, Field(max_length=4000, pattern=r"^[^\x00]*$")] | None
CampaignText = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")] | None
Position = Annotated[int, Field(ge=-1_000_000, le=1_000_000), BeforeValidator(read_count)]
Months = Annotated[int, Field(ge=1, le=120), BeforeValidator(read_count)]
Uses = Annotated[int, Field(ge=1, le=2_000_000_000), BeforeValidator(read_count)]


class PackageRequest(Shape):
    """A package to create."""

    model_config = example(_NEW_PACKAGE, extra="forbid")

    name: Name
    description: Description = None
    price: Price = Field(description="In major units of the currency.")
    currency: Currency = "usd"
    billing_interval: PackageInterval = "month"
    features: list[Feature] = Field(default=[], max_length=50)
    stripe_price_id: PriceId | None = Field(None, description="Without one the package is shown, but not sold.")
    position: Position = Field(0, description="The smallest is shown first.")
    active: bool = Field(True, strict=True)


class PackageChanges(Changes):
    """The fields of a package to change."""

    model_config = example({"active": False}, extra="forbid")

    name: Name = ""
    description: Description = None
    price: Price = Decimal(0)
    currency: Currency = "usd"
    billing_interval: PackageInterval = "month"
    features: list[Feature] = Field(default=[], max_length=50)
    stripe_price_id: PriceId | None = None
    position: Position = 0
    active: bool = Field(True, strict=True, description="False retires it.")


class PackageTerms(PackageBody, Versioned):
    """A package as administrators see it."""

    model_config = example(PACKAGE)

    stripe_price_id: str | None
    active: bool
    position: int
    created_at: Time
    updated_at: Time


class CatalogueList(Page[PackageTerms]):
    """Packages, retired ones too."""


class CampaignFields(Shape):
    """The fields of a campaign."""

    description: CampaignText = None
    discount_type: Literal["percentage", "fixed"] = "percentage"
    discount_value: Value = Field(Decimal(1), description="Percent, or major units of `currency`.")
    currency: Currency | None = Field(None, description="Of a fixed discount.")
    package_ids: Annotated[list[Package], Field(min_length=1, max_length=100)] | None = Field(
        None, description="Null for all packages."
    )
    duration: DiscountDuration = Field(
        "once",
        description="How long a subscription has it: its first invoice, `duration_months`, or forever.",
    )
    duration_months: Months | None = Field(None, description="Only with `repeating`.")
    max_uses: Uses | None = None
    max_uses_per_user: Uses | None = None
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    active: bool = Field(True, strict=True, description="False retires it.")


class CampaignChanges(CampaignFields, Changes):
    """The fields of a campaign to change; null removes a limit or a date."""

    model_config = example({"ends_at": "2027-01-01T00:00:00Z"}, extra="forbid")


class CampaignRequest(CampaignFields):
    """A campaign to create."""

    model_config = example(_NEW_CAMPAIGN, extra="forbid")

    code: Code = Field(description="Case-insensitive.")
    discount_type: Literal["percentage", "fixed"]
    discount_value: Value = Field(description="Percent, or major units of `currency`.")


class CampaignTerms(Versioned):
    """A campaign."""

    model_config = example(CAMPAIGN)

    id: Uuid
    campaign_id: Uuid = column("id")
    code: str
    description: str | None
    discount_type: Literal["percentage", "fixed"]
    discount_value: Number
    currency: str | None
    package_ids: list[Uuid] | None
    duration: DiscountDuration
    duration_months: int | None
    max_uses: int | None
    max_uses_per_user: int | None
    uses: int = Field(description="The number of paid and open redemptions.")
    starts_at: Time | None
    ends_at: Time | None
    active: bool
    created_at: Time
    updated_at: Time


class CampaignPage(Page[CampaignTerms]):
    """Campaigns, newest first."""


class RedemptionBody(Body):
    """A redemption of a code."""

    model_config = example(REDEMPTION)

    id: Uuid
    redemption_id: Uuid = column("id")
    campaign_id: Uuid
    package_id: Uuid | None
    user_id: Uuid | None
    state: RedemptionState
    stripe_session_id: str | None = Field(description="Its checkout; null if unknown.")
    created_at: Time
    expires_at: Time = Field(description="When its checkout expires at Stripe.")
    completed_at: Time | None
    released_at: Time | None

    @model_validator(mode="before")
    @classmethod
    def _with_state(cls, row: dict[str, Any]) -> dict[str, Any]:
        state = "released" if row["released_at"] else "completed" if row["completed_at"] else "open"
        return {**row, "state": state}


class RedemptionPage(Page[RedemptionBody]):
    """Redemptions of codes, newest first."""


class RedemptionsQuery(PageQuery):
    """Which redemptions."""

    campaign_id: UserId = None
    state: RedemptionState | None = None


class CampaignsQuery(PageQuery):
    """Which part of the campaigns."""

    limit: Limit = Field(200, ge=1, le=200, description="How many at most.")


class PackagePath(Shape):
    """A package by its id."""

    package_id: str = Field(json_schema_extra={"format": "uuid"})


class CampaignPath(Shape):
    """A campaign by its id."""

    campaign_id: str = Field(json_schema_extra={"format": "uuid"})


class RedemptionPath(Shape):
    """A redemption by its id."""

    redemption_id: str = Field(json_schema_extra={"format": "uuid"})
