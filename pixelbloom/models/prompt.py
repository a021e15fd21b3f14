"""A bound on what is sent to a model.

A prompt longer than the model's window is cut by the provider, silently and at its beginning, where the
rules stand. So we cut it ourselves, in the middle and visibly.
"""

from collections.abc import Sequence

from pixelbloom.models.request import Message

#: Characters of all messages together: about 6,000 tokens, which with an answer of 2,048 fit CONTEXT_TOKENS.
MAX_PROMPT_CHARS = 18_000

#: The window asked of Ollama. One size for all, because another size makes Ollama load the model again.
CONTEXT_TOKENS = 8192

_CUT = "\n[... cut here: too long ...]\n"


def bounded(messages: Sequence[Message], limit: int = MAX_PROMPT_CHARS) -> tuple[Message, ...]:
    """The messages within `limit` characters: system messages first, then the newest others."""
    keep: dict[int, Message] = {}
    left = limit
    system = [i for i, message in enumerate(messages) if message.role == "system"]
    others = [i for i, message in enumerate(messages) if message.role != "system"]
    for i in (*system, *reversed(others)):
        message = messages[i]
        if len(message.content) > left:
            first = not keep or i in system or i == others[-1]
            if not first or left <= len(_CUT):
                break
            message = Message(message.role, _middle_out(message.content, left))
        keep[i] = message
        left -= len(message.content)
    return tuple(keep[i] for i in sorted(keep))


def _middle_out(text: str, limit: int) -> str:
    room = limit - len(_CUT)
    head = room * 2 // 3
    tail = room - head
    return text[:head] + _CUT + (text[-tail:] if tail else "")
