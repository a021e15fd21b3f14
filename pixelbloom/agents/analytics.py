"""analytics_agent: analyses series of numbers."""

import itertools
import math
import statistics as stats
from typing import Any

from pixelbloom.agents.analytics_fields import (
    AnalyticsDraft,
    AnalyticsInput,
    AnalyticsOutput,
    Anomaly,
    Correlation,
    Series,
    SeriesFinding,
)
from pixelbloom.agents.base import StructuredAgent
from pixelbloom.agents.knowledge.statistics import correlation, fit, outliers, trend
from pixelbloom.agents.knowledge.words import listing, plural
from pixelbloom.models.catalog import GENERAL


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
