"""The input, the output and the draft of analytics_agent."""

from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from pixelbloom.agents.fields import NUMBER, AgentInput, AgentOutput, Brief, Draft, DraftLines, DraftText, Label
from pixelbloom.agents.knowledge.described import DescribedAs, iso_date
from pixelbloom.agents.knowledge.statistics import Trend
from pixelbloom.core.absent import NullIsAbsent

Value = Annotated[float, Field(ge=-1e15, le=1e15, allow_inf_nan=False), NUMBER]

IsoDate = Annotated[date, BeforeValidator(iso_date)]
Day = date | None

MAX_POINTS = 1000


class Point(NullIsAbsent):
    """A value with its day, if known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: Value = Field(description="The number.")
    date: IsoDate | None = Field(None, description="Its day, as ISO 8601.")


class _Dated(Point):
    """A value with its day."""

    model_config = ConfigDict(title="DatedPoint")

    date: IsoDate = Field(description="Its day, as ISO 8601.")


class _Plain(Point):
    """A value without a day."""

    model_config = ConfigDict(title="PlainPoint")

    date: None = Field(None, description="Absent.")


_Points = Annotated[list[_Dated], Field(min_length=1, max_length=MAX_POINTS)]
_Values = Annotated[list[Value | _Plain], Field(min_length=1, max_length=MAX_POINTS)]


class Series(NullIsAbsent):
    """A measure over time."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    name: Label = Field(description="What is measured, such as `leads`.")
    points: Annotated[list[Point], DescribedAs(_Points | _Values)] = Field(
        min_length=1,
        max_length=MAX_POINTS,
        description="Values, all with a date or none; put in the order of their dates. Plain numbers do too.",
    )

    @field_validator("points", mode="before")
    @classmethod
    def _plain_numbers(cls, value: Any) -> Any:
        if not isinstance(value, list) or len(value) > MAX_POINTS:
            return value
        plain = (int, float)
        return [{"value": v} if isinstance(v, plain) and not isinstance(v, bool) else v for v in value]

    @field_validator("points", mode="after")
    @classmethod
    def _oldest_first(cls, points: list[Point]) -> list[Point]:
        dated = [point for point in points if point.date is not None]
        if dated and len(dated) != len(points):
            raise ValueError("must have a `date` with every point, or with none")
        return sorted(points, key=lambda point: point.date or date.min)


_SeriesList = Annotated[list[Series], Field(min_length=1, max_length=10)]
_ByName = Annotated[dict[Label, _Points | _Values], Field(min_length=1, max_length=10)]


class AnalyticsInput(AgentInput):
    """Series to read."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "question": "Why did enquiries jump?",
                    "series": [
                        {
                            "name": "leads",
                            "points": [
                                {"date": "2025-03-03", "value": 12},
                                {"date": "2025-03-10", "value": 13},
                                {"date": "2025-03-17", "value": 15},
                                {"date": "2025-03-24", "value": 14},
                                {"date": "2025-03-31", "value": 41},
                                {"date": "2025-04-07", "value": 17},
                            ],
                        },
                        {"name": "visits", "points": [800, 820, 870, 845, 900, 910]},
                    ],
                }
            ]
        }
    )

    question: Brief | None = Field(None, description="What somebody wants to know about them.")
    series: Annotated[list[Series], DescribedAs(_SeriesList | _ByName)] = Field(
        min_length=1, max_length=10, description="Measures over time; `{name: [numbers]}` does too."
    )

    @field_validator("series", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(value) <= 10 and all(isinstance(v, list) for v in value.values()):
            return [{"name": name, "points": points} for name, points in value.items()]
        return value


class Anomaly(BaseModel):
    """A value far from the expected one."""

    model_config = ConfigDict(frozen=True)

    index: int = Field(ge=0, description="Its position, from 0, in the order of the dates.")
    date: Day = Field(description="Its day, where known.")
    value: float = Field(description="The value.")
    score: float = Field(description="Robust z-score; beyond 3.5 either way is an anomaly.")


class SeriesFinding(BaseModel):
    """The findings for one series."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="The measure.")
    count: int = Field(ge=1, description="How many values.")
    total: float = Field(description="Their sum.")
    mean: float = Field(description="Their mean.")
    median: float = Field(description="Their median.")
    minimum: float = Field(description="The least.")
    maximum: float = Field(description="The greatest.")
    deviation: float | None = Field(description="Sample standard deviation; null for one value.")
    trend: Trend = Field(description="Whether it rises or falls beyond chance.")
    slope: float | None = Field(description="Change from one value to the next, by a fitted line.")
    change_percent: float | None = Field(
        description="Mean of the second half against the first, in percent; null where the first is 0 or too short."
    )
    next_expected: float | None = Field(description="The line's next value, where there is a trend.")
    anomalies: list[Anomaly] = Field(description="Values far from the others.")


class Correlation(BaseModel):
    """Two series that move together."""

    model_config = ConfigDict(frozen=True)

    first: str = Field(description="One series.")
    second: str = Field(description="The other.")
    r: float = Field(ge=-1, le=1, description="Pearson's correlation.")


class AnalyticsOutput(AgentOutput):
    """Findings by series, and what they mean."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "summary": "Leads are unclear, with one jump.",
                    "series": [
                        {
                            "name": "leads",
                            "count": 6,
                            "total": 112,
                            "mean": 18.6667,
                            "median": 14.5,
                            "minimum": 12,
                            "maximum": 41,
                            "deviation": 11.0755,
                            "trend": "unclear",
                            "slope": 2.4571,
                            "change_percent": 80.0,
                            "next_expected": None,
                            "anomalies": [{"index": 4, "date": "2025-03-31", "value": 41, "score": 11.13}],
                        }
                    ],
                    "correlations": [],
                    "insights": ["leads: 41 on 2025-03-31 is far from the rest."],
                    "recommendations": ["Find out what happened on 2025-03-31."],
                }
            ]
        }
    )

    summary: str = Field(description="What the numbers say, in words.")
    series: list[SeriesFinding] = Field(description="Computed findings.")
    correlations: list[Correlation] = Field(description="Pairs that move together, |r| of 0.7 and more.")
    insights: list[str] = Field(description="What stands out.")
    recommendations: list[str] = Field(description="What to do or look into.")


class AnalyticsDraft(Draft):
    """An analyst's draft."""

    summary: DraftText = Field(description="what the numbers say in two to four sentences; answer the question if any")
    insights: DraftLines = Field(description="list of one to six insights, each tied to a computed number")
    recommendations: DraftLines = Field(description="list of one to five things to do or look into")
