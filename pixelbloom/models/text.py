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
