"""Text and JSON values that Postgres and UTF-8 can represent: how to clean them, and what is wrong with others."""

import math
from collections.abc import Iterator
from typing import Any

from pixelbloom.errors import FieldError


def is_encodable(text: str) -> bool:
    """Return whether UTF-8 can represent the text: it has no surrogates."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def clean_text(text: str) -> str:
    """Return the text without NUL, surrogate pairs joined, lone surrogates replaced by U+FFFD."""
    if not is_encodable(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\0", "")


def encodable(text: str) -> str:
    """Return the text with each character that UTF-8 cannot encode replaced by a question mark: its length stays."""
    return text if is_encodable(text) else text.encode("utf-8", "replace").decode()


class TextJoiner:
    """Cleans text in pieces; the halves of a surrogate pair split between two pieces become one character."""

    def __init__(self) -> None:
        self._half = ""

    def feed(self, piece: str) -> str:
        """Return the cleaned piece; half a pair at its end is buffered for the next one."""
        piece = self._half + piece
        self._half = piece[-1:] if "\ud800" <= piece[-1:] <= "\udbff" else ""
        return clean_text(piece[:-1] if self._half else piece)

    def end(self) -> str:
        """Return the buffered rest."""
        half, self._half = self._half, ""
        return clean_text(half)


def clean(value: Any) -> Any:
    """Return a JSON value with all strings cleaned, including keys."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(str(key)): clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clean(item) for item in value]
    return value


def shorten(text: str, limit: int) -> str:
    """Return at most `limit` characters of the text, with an ellipsis if it was shortened."""
    return text if len(text) <= limit else text[: max(0, limit - 1)].rstrip() + "…"[:limit]


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
