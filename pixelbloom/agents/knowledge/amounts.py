"""Parses amounts of money in text: `$20k`, `20.000 EUR`, `₹5,00,000`, `15-20k`, `USD 2.5m`.

How a number with separators is read:

1. Spaces and apostrophes between groups of digits separate thousands.
2. Of two different separators the last one is the decimal separator: `20,000.50`, `20.000,50`.
3. One that occurs several times separates thousands: `1.500.000`, `5,00,000`.
4. A single one before exactly three digits separates thousands: `20.000` is twenty thousand. Not after a zero
   (`0.500`), and not where it is a point before a unit (`1.125 million`).
5. Any other single one is the decimal separator: `1,5k`, `20.50`.

Each number is looked at once, by patterns that are linear in the length of the text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any

from pixelbloom.agents.knowledge.currencies import AFTER, BEFORE

#: Maximum length of an amount in its own field.
MAX_TEXT = 40
_MAX_DIGITS = 15

_FACTORS = {
    **dict.fromkeys(("k", "thousand", "grand", "tsd"), Decimal(1000)),
    **dict.fromkeys(("lakh", "lakhs", "lac", "lacs"), Decimal(100_000)),
    **dict.fromkeys(("m", "mn", "mio", "million", "millions", "millionen"), Decimal(10) ** 6),
    **dict.fromkeys(("cr", "crore", "crores"), Decimal(10) ** 7),
    **dict.fromkeys(("b", "bn", "mrd", "billion", "billions"), Decimal(10) ** 9),
}
#: Ambiguous units, such as metres: money only next to a currency.
_AMBIGUOUS_UNITS = frozenset({"m", "mn", "b", "bn", "cr"})

# Each whitespace character becomes one space, so that positions do not change.
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("\t\n\r\xa0\u1680\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "),
        **dict.fromkeys("’‘ʼ＇´`\u066c\u060c\u2e41", "'"),
        **dict.fromkeys("‐‑‒–—−", "-"),
        "￥": "¥",
        "．": ".",
        "，": ",",
        # Marks of the direction of writing.
        **dict.fromkeys("\u200e\u200f\u061c\u202a\u202b\u202c\u2066\u2067\u2068\u2069"),
    }
)
_NUMBER = re.compile(r"\d{1,3}(?: \d{3}(?!\d))+(?:[.,\u066b]\d+)*|\d+(?:[.,'\u066b]\d+)*")
_UNITS = "|".join(sorted(_FACTORS, key=len, reverse=True))
_AFTER = re.compile(
    rf"(?:[.,]-{{1,2}}|/-)? ?(?P<unit>{_UNITS})?\.? ?(?P<currency>{AFTER})?(?!\w|[.,']\d)", re.IGNORECASE
)
_BEFORE = re.compile(rf"(?:^|[^\w])(?P<currency>{BEFORE}) ?$", re.IGNORECASE)
_LONGEST_BEFORE = 12
#: Prefixes that make a number part of something else: `v1.2`, `C3`.
_NOT_BEFORE = re.compile(r"(?:[\w.,\u066b]|\w')$")
#: Between the two ends of a range; the second may have its currency in front.
_TO = re.compile(rf" ?(?:-|to|or|bis) ?(?:{BEFORE})? ?", re.IGNORECASE)
_THOUSANDS = re.compile(r"\d{1,3}(?:\D\d{3})+|\d{1,2}(?:,\d{2})+,\d{3}")


@dataclass(frozen=True)
class _Found:
    """A number with its context; `start` and `end` include the currency."""

    start: int
    end: int
    written: Decimal
    unit: str
    money: bool

    @property
    def value(self) -> Decimal:
        value = self.written * _FACTORS.get(self.unit, Decimal(1))
        return value.to_integral_value() if value == value.to_integral_value() else value


def sums(text: str) -> list[Decimal]:
    """Return the amounts in the text, without bare numbers. A range gives two amounts."""
    return [found.value for found in _found(text.translate(_PLAIN)) if found.money]


def leading(text: str) -> tuple[Decimal, int] | None:
    """Return the amount at the start of the text and the position after it, or None."""
    found = next(_found(text[:MAX_TEXT].translate(_PLAIN)), None)
    return (found.value, found.end) if found and found.money and found.start == 0 else None


def as_amount(value: Any) -> Any:
    """Convert a text with one amount, or a range (its upper end), to a Decimal. A number is returned unchanged.

    Raises ValueError for other texts.
    """
    if isinstance(value, str) and len(value) <= MAX_TEXT:
        text = value.translate(_PLAIN).strip()
        found = list(_found(text))
        if found and found[0].start == 0 and found[-1].end == len(text):
            if len(found) == 1:
                return found[0].value
            if len(found) == 2 and _joined(text, *found):
                return max(one.value for one in found)
    if isinstance(value, bool | str):
        raise ValueError("must be a number, or a text such as `$20k`")
    return value


def _found(text: str) -> Iterator[_Found]:
    """Return the numbers that may be amounts, left to right; ranges share their unit and their currency."""
    numbers = [found for match in _NUMBER.finditer(text) if (found := _read(text, match))]
    joined = [_joined(text, *pair) for pair in pairwise(numbers)]
    for index, found in enumerate(numbers):
        after = numbers[index + 1] if index < len(joined) and joined[index] else None
        before = numbers[index - 1] if index and joined[index - 1] else None
        unit = found.unit
        if after is not None and not unit and after.unit and found.written < after.written:
            unit = after.unit  # `15-20k`
        money = found.money or bool(after and after.money) or bool(before and before.money)
        yield _Found(found.start, found.end, found.written, unit, money)


def _joined(text: str, first: _Found, last: _Found) -> bool:
    return last.start - first.end <= 6 and _TO.fullmatch(text, first.end, last.start) is not None


def _read(text: str, match: re.Match[str]) -> _Found | None:
    start, end = match.span()
    before = _BEFORE.search(text[max(0, start - _LONGEST_BEFORE) : start])
    if before:
        start -= len(before[0]) - (before.start("currency") - before.start())
    elif _NOT_BEFORE.search(text[max(0, start - 2) : start]):
        return None
    after = _AFTER.match(text, end)
    if after is None:
        return None
    unit = (after["unit"] or "").lower()
    written = _number(match[0], unit)
    if written is None:
        return None
    money = bool(before or after["currency"] or (unit and unit not in _AMBIGUOUS_UNITS))
    # A full stop or a blank after the number is not part of it.
    end = after.end() if after["unit"] or after["currency"] else end + len(text[end : after.end()].rstrip(" ."))
    return _Found(start, end, written, unit, money)


def _number(text: str, unit: str) -> Decimal | None:
    """Return the number by the rules above; None for other text, such as a date or an address."""
    separators = [character for character in text if not character.isdecimal()]
    whole, fraction = text, ""
    if separators:
        last = separators[-1]
        head, _, tail = text.rpartition(last)
        if len(set(separators)) > 1:
            decimal = last in ".,\u066b" and separators.count(last) == 1
        elif len(separators) > 1 or last in " '":
            decimal = False
        else:
            thousands = len(tail) == 3 and len(head) <= 3 and int(head[0]) > 0
            decimal = last == "\u066b" or not thousands or (last == "." and unit != "")
        if decimal:
            whole, fraction = head, tail
        if len(set(whole) & set(" .,'\u066b")) > 1:
            return None
        if not whole.isdecimal() and not _THOUSANDS.fullmatch(whole):
            return None
    digits = "".join(character for character in whole if character.isdecimal())
    if len(digits) > _MAX_DIGITS:
        return None
    return Decimal(f"{digits}.{fraction[:6] or '0'}")
