"""Statistics of a series: level, trend, outliers. Plain Python, for at most some thousands of numbers."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Trend = Literal["rising", "falling", "flat", "unclear"]

#: Robust z-score beyond which a value is an outlier (Iglewicz and Hoaglin).
OUTLIER = 3.5


@dataclass(frozen=True)
class Line:
    """A least-squares line through the values at 0, 1, 2 ..., and the share of variance it explains (0 to 1)."""

    slope: float
    start: float
    explained: float

    def at(self, x: float) -> float:
        """Return the line's value at a position."""
        return self.start + self.slope * x


def fit(values: Sequence[float]) -> Line | None:
    """Return the line, or None for fewer than two values."""
    if len(values) < 2:
        return None
    # Scaled, so that squares of large numbers stay finite.
    scale = max(map(abs, values)) or 1.0
    y = [value / scale for value in values]
    middle_x = (len(y) - 1) / 2
    middle_y = statistics.fmean(y)
    spread_x = sum((i - middle_x) ** 2 for i in range(len(y)))
    spread_y = sum((value - middle_y) ** 2 for value in y)
    together = sum((i - middle_x) * (value - middle_y) for i, value in enumerate(y))
    slope = together / spread_x
    explained = together**2 / (spread_x * spread_y) if spread_y > 1e-18 else 0.0
    return Line(slope * scale, (middle_y - slope * middle_x) * scale, min(1.0, explained))


def trend(values: Sequence[float]) -> Trend:
    """Return whether the values rise or fall significantly (5%, two-sided, by the slope's t), or are flat."""
    line = fit(values)
    if line is None or len(values) < 3:
        return "unclear"
    level = statistics.fmean(abs(value) for value in values)
    if level == 0 or abs(line.slope) * (len(values) - 1) < 0.02 * level:
        return "flat"
    if line.explained < 1:
        freedom = len(values) - 2
        t = math.sqrt(line.explained * freedom / (1 - line.explained))
        # Close enough to Student's 97.5% quantile from 1 to infinite degrees of freedom.
        if t < 1.96 + 2.6 / freedom + (8.2 / freedom**3):
            return "unclear"
    return "rising" if line.slope > 0 else "falling"


def outliers(values: Sequence[float]) -> list[tuple[int, float]]:
    """Return positions and robust z-scores of values far from the fitted line."""
    if len(values) < 5:
        return []
    line = fit(values)
    assert line is not None
    base = line if line.explained > 0.5 else Line(0.0, statistics.median(values), 0.0)
    rest = [value - base.at(i) for i, value in enumerate(values)]
    middle = statistics.median(rest)
    deviation = statistics.median(abs(value - middle) for value in rest)
    floor = 1e-9 * max(map(abs, values), default=0.0)
    if deviation <= floor:
        # More than half of the values are alike: the mean deviation stands in.
        deviation = statistics.fmean(abs(value - middle) for value in rest) * 0.8453
    if deviation <= floor:
        return []
    scores = ((i, 0.6745 * (value - middle) / deviation) for i, value in enumerate(rest))
    return [(i, round(score, 2)) for i, score in scores if abs(score) > OUTLIER]


def correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return Pearson's r of two series of equal length, or None if it is undefined."""
    if len(one) != len(other) or len(one) < 3:
        return None
    scaled = []
    for values in (one, other):
        scale = max(map(abs, values)) or 1.0
        parts = [value / scale for value in values]
        middle = statistics.fmean(parts)
        scaled.append([part - middle for part in parts])
    a, b = scaled
    spread = math.sqrt(math.fsum(x * x for x in a)) * math.sqrt(math.fsum(y * y for y in b))
    if spread < 1e-12:
        return None
    return max(-1.0, min(1.0, math.fsum(x * y for x, y in zip(a, b, strict=True)) / spread))
