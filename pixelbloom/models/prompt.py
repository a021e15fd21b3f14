"""Limits the size of a prompt.

A provider truncates a prompt that exceeds the model's window silently and at its start, where the rules are. So we
truncate it first, in the middle and visibly.
"""

from collections.abc import Sequence

from pixelbloom.models.request import Message

#: Characters of all messages together: about 6,000 tokens, which with a reply of 2,048 fit CONTEXT_TOKENS.
MAX_PROMPT_CHARS = 18_000

#: The context window requested from Ollama. It is the same for all, because a change makes Ollama reload the model.
CONTEXT_TOKENS = 8192

_CUT = "\n[... cut here: too long ...]\n"


def bounded(messages: Sequence[Message], limit: int = MAX_PROMPT_CHARS) -> tuple[Message, ...]:
    """Return the messages that fit in `limit` characters: system messages first, then the newest others."""
    selected: dict[int, Message] = {}
    left = limit
    system = [i for i, message in enumerate(messages) if message.role == "system"]
    others = [i for i, message in enumerate(messages) if message.role != "system"]
    for i in (*system, *reversed(others)):
        message = messages[i]
        if len(message.content) > left:
            first = not selected or i in system or i == others[-1]
            if not first or left <= len(_CUT):
                break
            message = Message(message.role, _middle_out(message.content, left))
        selected[i] = message
        left -= len(message.content)
    return tuple(selected[i] for i in sorted(selected))


def _middle_out(text: str, limit: int) -> str:
    room = limit - len(_CUT)
    head = room * 2 // 3
    tail = room - head
    return text[:head] + _CUT + (text[-tail:] if tail else "")
