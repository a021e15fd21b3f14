"""The schemas of requests and responses about leads in the OpenAPI document."""

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from pixelbloom.agents.knowledge.described import EMAIL
from pixelbloom.core.statuses import LeadStatus
from pixelbloom.web.http.rendering import CountedPage, JsonObject, Number, Time, Uuid, Versioned, column
from pixelbloom.web.http.schemas import (
    USER_ID,
    Changes,
    CountQuery,
    CreatedQuery,
    Metadata,
    OwnedQuery,
    PageQuery,
    Shape,
    UserId,
    example,
)

LEAD: dict[str, Any] = {
    "id": "c2a52c6e-51f4-4c8e-9c6c-7a9be1a6a0f3",
    "lead_id": "c2a52c6e-51f4-4c8e-9c6c-7a9be1a6a0f3",
    "user_id": USER_ID,
    "name": "Ada Mills",
    "email": "ada@northwind-saas.example",
    "phone": None,
    "company": "Northwind",
    "industry": "SaaS",
    "budget": 18000,
    "currency": "usd",
    "timeline": "within 2 months",
    "message": "We need a new website with a blog.",
    "notes": None,
    "assigned_to": None,
    "source": "website",
    "status": "new",
    "score": None,
    "analysis": None,
    "analysis_id": None,
    "analyzed_at": None,
    "metadata": {},
    "version": 1,
    "created_at": "2026-01-31T12:00:00.004000Z",
    "updated_at": "2026-01-31T12:00:00.004000Z",
}
WANTED = {name: LEAD[name] for name in ("name", "email", "company", "industry", "budget", "timeline", "message")}

_STORABLE = r"^[^\x00]*$"
#: In major units, stored as numeric(16, 3).
MAX_BUDGET = 10_000_000_000


def _amount(value: object) -> object:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ValueError("must be a number")
    return value


def _score(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,3}", value):
        raise ValueError("must be a whole number from 0 to 100")
    return value


def text(most: int, least: int = 1) -> Any:
    """Return the type of a storable string of `least` to `most` characters, or null."""
    return Annotated[str, Field(min_length=least, max_length=most, pattern=_STORABLE)] | None


Budget = Annotated[
    Annotated[Decimal, Field(ge=0, le=MAX_BUDGET)] | None,
    BeforeValidator(_amount),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0, "maximum": MAX_BUDGET}, {"type": "null"}]}),
]


class LeadFields(Shape):
    """The fields of a lead. Null means unknown."""

    email: Annotated[str, Field(max_length=320, pattern=EMAIL)] | None = None
    phone: text(50) = None  # type: ignore[valid-type]
    company: text(200) = None  # type: ignore[valid-type]
    industry: text(100) = None  # type: ignore[valid-type]
    budget: Budget = Field(None, description="In major units of the currency; decimals are stored.")
    currency: str = Field("usd", pattern="^[a-z]{3}$")
    timeline: text(200) = None  # type: ignore[valid-type]
    message: text(10_000) = None  # type: ignore[valid-type]
    notes: text(10_000) = Field(None, description="Internal notes; not for visitors.")  # type: ignore[valid-type]
    assigned_to: UserId = Field(None, description="The user who works on it; not for visitors.")
    metadata: Metadata = Field(default={})


class LeadRequest(LeadFields):
    """A new lead."""

    model_config = example(WANTED, extra="forbid")

    name: str = Field(min_length=1, max_length=200, pattern=_STORABLE)
    source: str = Field("api", min_length=1, max_length=100, pattern=_STORABLE)
    user_id: UserId = Field(None, description="The owner; for services and administrators. Others create their own.")


class LeadChanges(LeadFields, Changes):
    """The fields to change; omitted ones stay the same."""

    model_config = example({"status": "contacted"}, extra="forbid")

    name: str = Field("", min_length=1, max_length=200, pattern=_STORABLE)
    source: str = Field("", min_length=1, max_length=100, pattern=_STORABLE)
    status: LeadStatus = "new"


class LeadBody(Versioned):
    """A lead."""

    model_config = example(LEAD)

    id: Uuid
    lead_id: Uuid = column("id")
    user_id: Uuid | None
    name: str
    email: str | None
    phone: str | None
    company: str | None
    industry: str | None
    budget: Number | None
    currency: str
    timeline: str | None
    message: str | None
    notes: str | None
    assigned_to: Uuid | None = Field(description="The user who works on it.")
    source: str
    status: LeadStatus
    score: int | None = Field(description="0 to 100, by lead_agent; null before.")
    analysis: JsonObject | None = Field(description="The result of lead_agent.")
    analysis_id: Uuid | None = Field(description="The run that produced it.")
    analyzed_at: Time | None
    metadata: JsonObject
    created_at: Time
    updated_at: Time


class LeadPage(CountedPage[LeadBody]):
    """Leads, newest first."""


Bound = Annotated[
    Annotated[int, Field(ge=0, le=100)] | None,
    BeforeValidator(_score),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 100}),
]


class LeadsQuery(OwnedQuery, CreatedQuery, CountQuery, PageQuery):
    """Which leads to list."""

    status: LeadStatus | None = None
    source: str | None = Field(None, min_length=1, max_length=100, pattern=_STORABLE)
    min_score: Bound = None
    max_score: Bound = None
    q: str | None = Field(
        None, min_length=1, max_length=200, pattern=_STORABLE, description="Text in name, company, email or message."
    )


class LeadPath(Shape):
    """A lead's address."""

    lead_id: str = Field(json_schema_extra={"format": "uuid"}, description="From the response of POST.")
