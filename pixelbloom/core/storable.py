"""Finds parts of external values that Postgres cannot store or JSON cannot represent."""

import math
from collections.abc import Iterator
from typing import Any

from pixelbloom.core.text import clean_text, is_encodable
from pixelbloom.errors import FieldError

MAX_DEPTH = 64
_LARGEST = int(1.7e308)


def text_problem(text: str) -> str | None:
    """Return why Postgres or UTF-8 cannot represent the text, as the end of a sentence, or None."""
    if "\0" in text:
        return "has a NUL character, which cannot be stored"
    return None if is_encodable(text) else "has a lone surrogate, which is not a character"


def unstorable(value: Any, path: str = "") -> Iterator[FieldError]:
    """Yield an error for each part of a JSON value that cannot be stored. Excessive nesting is reported once."""
    waiting = [(value, path, 0)]
    while waiting:
        item, where, depth = waiting.pop()
        if depth > MAX_DEPTH:
            yield FieldError(path or "body", f"is nested too deeply; at most {MAX_DEPTH} levels are allowed")
            return
        if isinstance(item, str):
            if problem := text_problem(item):
                yield FieldError(where or "body", problem)
        elif isinstance(item, int | float):
            if not math.isfinite(item) if isinstance(item, float) else abs(item) > _LARGEST:
                yield FieldError(where or "body", "is a number that is too large; it must be below 1.7e308")
        elif isinstance(item, dict):
            for key, part in reversed(item.items()):
                if problem := text_problem(str(key)):
                    yield FieldError(where or "body", problem)
                shown = clean_text(str(key))
                waiting.append((part, f"{where}.{shown[:100]}" if where else shown[:100], depth + 1))
        elif isinstance(item, list):
            for index, part in reversed(list(enumerate(item))):
                waiting.append((part, f"{where}.{index}" if where else str(index), depth + 1))
