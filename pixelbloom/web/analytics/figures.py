"""The common parts of the schemas of figures."""

from typing import Annotated, Any, Self

from pydantic import Field

from pixelbloom.analytics.ranges import Aggregation
from pixelbloom.web.analytics.queries import RangeQuery
from pixelbloom.web.http.rendering import Body, Number

Day = Annotated[str, Field(json_schema_extra={"format": "date"})]
Percent = Annotated[Number | None, Field(description="In percent; null if the base is 0.")]
#: In examples.
RANGE = {"start_date": "2026-01-30", "end_date": "2026-01-31", "aggregation": "daily", "time_zone": "Europe/Vienna"}
PACKAGE_ID = "3f2b6c1e-9a0d-4a5e-8a3b-2d1c0b9a8f7e"
AT = "2026-01-31T12:00:00.004000Z"


def figure(value: float | None, change: float | None) -> dict[str, Any]:
    return {"value": value, "change": change}


def money(value: float, change: float) -> dict[str, Any]:
    in_dollars = {"currency": "usd", **figure(value, change)}
    return {**in_dollars, "by_currency": [in_dollars]}


class RangeBody(Body):
    """The requested days, or the default ones."""

    start_date: Day
    end_date: Day
    aggregation: Aggregation
    time_zone: str


class Ranged(Body):
    """Figures of a range."""

    range: RangeBody

    @classmethod
    def of(cls, query: RangeQuery, found: dict[str, Any]) -> Self:
        """Return figures with their range. The query must be resolved."""
        return cls.model_validate({"range": query.to_public(), **found})


class Figure(Body):
    """A figure, and its change from the same number of days before."""

    value: Number | None
    change: Number | None = Field(
        description="In percent, or in points of a rate or an average; null if the earlier value is 0 or missing."
    )


class CurrencyFigure(Figure):
    """A figure in one currency."""

    currency: str


class MoneyFigure(CurrencyFigure):
    """A figure in the currency of the most payments, and in each."""

    by_currency: list[CurrencyFigure] = Field(description="Amounts of different currencies are never added.")


class Point(Body):
    """A period, by its first day."""

    date: Day
    value: int


class Amount(Body):
    """Money."""

    currency: str
    value: Number | None
