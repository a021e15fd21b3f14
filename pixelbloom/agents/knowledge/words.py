"""Finds words in text."""

import re
from collections.abc import Iterable

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")

_STOP_WORDS = (
    "a about all am an and any are as at be been best but by can could did do does find for from get "
    "give good had has have how i in into is it its know lead leads let list looking like me more "
    "most my need new not of on one or our out over please potential prospect prospects qualified "
    "rank s search show so some than that the their them then there these they this those to top up "
    "us want was we were what when where which who why will with would you your "
)
STOP_WORDS = frozenset(_STOP_WORDS.split())


def words(text: str) -> list[str]:
    """Return the words of the text, in lower case."""
    return _WORD.findall(text.lower())


def keywords(text: str, limit: int = 12) -> list[str]:
    """Return at most `limit` distinct words that are not stop words, in order."""
    meaningful = (word for word in words(text) if word not in STOP_WORDS and (len(word) > 1 or word.isdigit()))
    return list(dict.fromkeys(meaningful))[:limit]


def count(text: str, phrases: Iterable[str]) -> int:
    """Count how often the phrases occur in the text as whole words; a plural `s` is ignored."""
    # Two spaces between words, so that matches do not share a space and neighbours are both counted.
    plain = f"  {'  '.join(words(text))}  "
    wanted = ["  ".join(words(phrase)) for phrase in phrases]
    return sum(plain.count(f" {phrase}{ending} ") for phrase in wanted for ending in ("", "s", "es") if phrase)


def any_of(text: str, phrases: Iterable[str]) -> bool:
    """Return whether the text contains one of the phrases."""
    return count(text, phrases) > 0


def plural(number: int, noun: str) -> str:
    """Format a count: `1 lead`, `2 leads`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listing(items: Iterable[str]) -> str:
    """Format a list: `a`, `a and b`, `a, b and c`."""
    *rest, last = list(items) or [""]
    return f"{', '.join(rest)} and {last}" if rest else last
