"""Makes external text safe to store: Postgres accepts neither NUL nor lone surrogates."""

from typing import Any


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
