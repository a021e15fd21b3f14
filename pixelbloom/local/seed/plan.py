"""The inputs of the demo's rows: a number, a day, an owner. The same three always give the same rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any, TypeVar
from uuid import UUID

T = TypeVar("T")
Row = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """`until` is the last day, in UTC; `owner` is the agency's owner."""

    number: int
    until: date
    owner: UUID

    @property
    def end(self) -> datetime:
        """Return the end of the last day."""
        return datetime.combine(self.until + timedelta(days=1), time(), UTC)

    def dice(self, part: str) -> "Dice":
        """Return a random source for one part, so that one part may change without the others."""
        return Dice(f"{self.number}:{self.owner}:{part}")


class Dice(Random):
    """A random source, reproducible by its seed."""

    def uuid(self) -> UUID:
        return UUID(int=self.getrandbits(128), version=4)

    def one_of(self, weights: Mapping[T, float]) -> T:
        """Return one of the keys, chosen by weight."""
        [found] = self.choices(list(weights), list(weights.values()))
        return found

    def happens(self, chance: float) -> bool:
        return self.random() < chance

    def within(self, least: timedelta, most: timedelta) -> timedelta:
        return least + self.random() * (most - least)
