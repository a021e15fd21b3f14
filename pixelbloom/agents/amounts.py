"""Sums of money as people write them: `$20k`, `15,000 USD`, `1.5 million`."""

import re
from decimal import Decimal
from typing import Any

_NUMBER = r"\d{1,3}(?:,\d{3}){1,4}(?:\.\d{1,4})?|\d{1,12}(?:\.\d{1,4})?"
_UNIT = r"k|m|thousand|million"
_CURRENCY = r"usd|eur|gbp|dollars?|euros?|pounds?"
_SUM = re.compile(
    rf"(?P<sign>[$€£]\s?)?(?<![\w.,])(?P<number>{_NUMBER})\s?(?P<unit>{_UNIT})?(?:\s?(?P<currency>{_CURRENCY}))?(?!\w)",
    re.IGNORECASE,
)
_FACTOR = {"": 1, "k": 1000, "thousand": 1000, "m": 1_000_000, "million": 1_000_000}


def sums(text: str) -> list[Decimal]:
    """The sums in the text; a bare number is none."""
    return [
        _value(match)
        for match in _SUM.finditer(text)
        if match["sign"] or match["currency"] or (match["unit"] or "").lower() in ("k", "thousand", "million")
    ]


def as_amount(value: Any) -> Any:
    """A text that is one sum as a Decimal; a number as it came, for Pydantic to judge."""
    if isinstance(value, str) and len(value) <= 40 and (match := _SUM.fullmatch(value.strip())):
        return _value(match)
    if isinstance(value, bool | str):
        raise ValueError("must be a number, or a text such as `$20k`")
    return value


def _value(match: re.Match[str]) -> Decimal:
    return Decimal(match["number"].replace(",", "")) * _FACTOR[(match["unit"] or "").lower()]
