"""analytics_agent: analyses series of numbers."""

import itertools
import math
import statistics as stats
from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from pixelbloom.agents.base import StructuredAgent
from pixelbloom.agents.fields import NUMBER, AgentInput, AgentOutput, Brief, Draft, DraftLines, DraftText, Label
from pixelbloom.agents.knowledge.described import DescribedAs, iso_date
from pixelbloom.agents.knowledge.statistics import Trend, correlation, fit, outliers, trend
from pixelbloom.agents.knowledge.words import listing, plural
from pixelbloom.core.absent import NullIsAbsent
from pixelbloom.models.catalog import GENERAL

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


class AnalyticsAgent(StructuredAgent[AnalyticsInput, AnalyticsDraft, AnalyticsOutput]):
    """Computes trends, means and anomalies, and interprets them."""

    agent_type = "analytics_agent"
    title = "Analytics"
    description = "Finds trends, averages, anomalies and correlations in series of numbers, and explains them."
    capabilities = ("trends", "anomalies", "correlations", "explanations in plain words")
    model = GENERAL
    max_tokens = 900
    input = AnalyticsInput
    output = AnalyticsOutput
    draft = AnalyticsDraft
    role = "a data analyst"
    guidance = (
        "Never claim a cause that the numbers do not show; a correlation is not one.",
        "Where a trend is `unclear`, say that there is none that can be trusted.",
    )
    task = "Explain these findings to somebody who knows the business but no statistics."

    def facts(self, input: AnalyticsInput) -> dict[str, Any]:
        """Return the findings."""
        return {
            "series": [finding.model_dump(mode="json", exclude_none=True) for finding in _findings(input)],
            "correlations": [pair.model_dump() for pair in _correlations(input)],
        }

    def shown(self, input: AnalyticsInput) -> AnalyticsInput:
        """Return only the last values: a thousand would fill the prompt, and the findings summarize them."""
        last = [series.model_copy(update={"points": series.points[-24:]}) for series in input.series]
        return input.model_copy(update={"series": last})

    def rules(self, input: AnalyticsInput) -> AnalyticsDraft:
        """Return the findings as text."""
        findings = _findings(input)
        pairs = _correlations(input)
        said = listing(f"{finding.name} {_trend_words(finding)}" for finding in findings)
        insights = [insight for finding in findings for insight in _insights(finding)]
        insights += [
            f"{pair.first} and {pair.second} move {'together' if pair.r > 0 else 'apart'} (r {pair.r:.2f})."
            for pair in pairs
        ]
        return AnalyticsDraft(
            summary=f"{said}."[:1].upper() + f"{said}."[1:],
            insights=insights,
            recommendations=_recommendations(findings),
        )

    def compose(self, draft: AnalyticsDraft, input: AnalyticsInput) -> AnalyticsOutput:
        """Combine the findings with the draft's text."""
        return AnalyticsOutput(
            summary=draft.summary,
            series=_findings(input),
            correlations=_correlations(input),
            insights=draft.insights,
            recommendations=draft.recommendations,
        )


def _round(value: float) -> float:
    """Round to six significant digits, which removes a float's noise."""
    return 0.0 if value == 0 else round(value, 5 - math.floor(math.log10(abs(value))))


def _findings(input: AnalyticsInput) -> list[SeriesFinding]:
    return [_finding(series) for series in input.series]


def _finding(series: Series) -> SeriesFinding:
    values = [point.value for point in series.points]
    line = fit(values)
    direction = trend(values)
    half = len(values) // 2
    change = None
    if half and (before := stats.fmean(values[:half])):
        change = (stats.fmean(values[-half:]) - before) / abs(before) * 100
    return SeriesFinding(
        name=series.name,
        count=len(values),
        total=_round(math.fsum(values)),
        mean=_round(stats.fmean(values)),
        median=_round(stats.median(values)),
        minimum=min(values),
        maximum=max(values),
        deviation=_round(stats.stdev(values)) if len(values) > 1 else None,
        trend=direction,
        slope=_round(line.slope) if line else None,
        change_percent=round(change, 1) if change is not None and abs(change) < 1e9 else None,
        next_expected=_round(line.at(len(values))) if line and direction in ("rising", "falling") else None,
        anomalies=[
            Anomaly(index=i, date=series.points[i].date, value=values[i], score=score)
            for i, score in outliers(values)
            if abs(score) < 1e12
        ][:20],
    )


def _correlations(input: AnalyticsInput) -> list[Correlation]:
    found = []
    for first, second in itertools.combinations(input.series, 2):
        r = correlation([point.value for point in first.points], [point.value for point in second.points])
        if r is not None and abs(r) >= 0.7:
            found.append(Correlation(first=first.name, second=second.name, r=round(r, 3)))
    return sorted(found, key=lambda pair: -abs(pair.r))


def _trend_words(finding: SeriesFinding) -> str:
    if finding.count == 1:
        return f"has one value only, {finding.total:g}"
    by = f", {finding.change_percent:+.1f}% in the second half" if finding.change_percent is not None else ""
    words = {
        "rising": "rises",
        "falling": "falls",
        "flat": "stays level",
        "unclear": "shows no trend that can be trusted",
    }
    return f"{words[finding.trend]} (mean {finding.mean:g}{by})"


def _insights(finding: SeriesFinding) -> list[str]:
    said = [
        f"{finding.name}: {anomaly.value:g} {_place(anomaly)} is far from the rest."
        for anomaly in sorted(finding.anomalies, key=lambda a: -abs(a.score))[:2]
    ]
    if finding.next_expected is not None:
        said.append(f"{finding.name}: if this goes on, the next value is about {finding.next_expected:g}.")
    if not said:
        span = f"between {finding.minimum:g} and {finding.maximum:g}"
        said.append(f"{finding.name}: {plural(finding.count, 'value')} {span}, mean {finding.mean:g}.")
    return said


def _place(anomaly: Anomaly) -> str:
    return f"on {anomaly.date.isoformat()}" if anomaly.date else f"at position {anomaly.index + 1}"


def _recommendations(findings: list[SeriesFinding]) -> list[str]:
    said = [
        f"Find out what happened to {finding.name} {_place(finding.anomalies[0])}."
        for finding in findings
        if finding.anomalies
    ]
    said += [f"Look into why {f.name} falls." for f in findings if f.trend == "falling"]
    short = [finding.name for finding in findings if finding.count < 8]
    if short:
        said.append(f"Collect more values of {listing(short)} before you decide by them.")
    return said or ["Keep measuring, and compare with the same period of last year."]
