"""Text from outside made safe to keep: Postgres takes neither NUL nor half of a surrogate pair."""

from typing import Any


def clean_text(text: str) -> str:
    """The text without NUL; surrogate pairs joined, lone surrogates replaced by U+FFFD."""
    if text.isascii():
        return text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\0", "")


class TextJoiner:
    """Cleans a text that comes in pieces: of a surrogate pair that was cut in two, both halves become one character."""

    def __init__(self) -> None:
        self._half = ""

    def feed(self, piece: str) -> str:
        """The piece, cleaned; half a pair at its end waits for the next one."""
        piece = self._half + piece
        self._half = piece[-1:] if "\ud800" <= piece[-1:] <= "\udbff" else ""
        return clean_text(piece[:-1] if self._half else piece)

    def end(self) -> str:
        """What still waits."""
        half, self._half = self._half, ""
        return clean_text(half)


def clean(value: Any) -> Any:
    """A JSON value with each string in it cleaned, keys too."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(str(key)): clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clean(item) for item in value]
    return value


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters of the text; what is missing is shown by an ellipsis."""
    return text if len(text) <= limit else text[: max(0, limit - 1)].rstrip() + "…"[:limit]
