"""Detects a visitor's intent from the words of the message."""

from typing import Literal

from pixelbloom.agents.knowledge.services import mentioned
from pixelbloom.agents.knowledge.words import count

Intent = Literal[
    "pricing",
    "timeline",
    "start_project",
    "support",
    "complaint",
    "human",
    "services",
    "greeting",
    "thanks",
    "other",
]
#: Words that indicate an intent; of equal counts the earlier one wins.
_SIGNS: dict[Intent, tuple[str, ...]] = {
    "complaint": (
        "complaint",
        "unhappy",
        "disappointed",
        "terrible",
        "refund",
        "angry",
        "unacceptable",
        "worst",
    ),
    "human": (
        "human",
        "real person",
        "someone",
        "call me",
        "phone",
        "speak to",
        "talk to",
        "contact",
        "meeting",
    ),
    "support": (
        "broken",
        "error",
        "bug",
        "not working",
        "does not work",
        "doesn't work",
        "down",
        "crash",
        "help me",
    ),
    "pricing": (
        "price",
        "pricing",
        "cost",
        "how much",
        "quote",
        "budget",
        "rate",
        "expensive",
        "cheap",
        "afford",
    ),
    "timeline": (
        "how long",
        "timeline",
        "deadline",
        "how soon",
        "when can",
        "weeks",
        "months",
        "how fast",
        "asap",
    ),
    "start_project": (
        "start",
        "build",
        "create",
        "need a",
        "want a",
        "looking for",
        "hire",
        "redesign",
        "launch",
    ),
    "services": ("services", "offer", "what do you do", "can you do", "do you do", "portfolio", "work on"),
    "thanks": ("thanks", "thank you", "great", "perfect", "bye", "goodbye"),
    "greeting": ("hello", "hi", "hey", "good morning", "good afternoon", "good evening"),
}


def intent_of(message: str) -> Intent:
    """Return the intent of a message."""
    hits = {intent: count(message, signs) for intent, signs in _SIGNS.items()}
    best = max(hits, key=lambda intent: hits[intent])
    if hits[best]:
        return best
    return "services" if mentioned(message) else "other"
