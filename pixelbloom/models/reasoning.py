"""Takes a model's reasoning out of its answer while the answer is written.

Reasoning models write `<think>...</think>` before their answer, some without the opening tag, because the prompt's
template has written it already. So a closing tag that nothing opened means that all before it was reasoning.
"""

import re
from dataclasses import dataclass

_NAME = "think|thinking|thought|reasoning"
_NAMES = tuple(_NAME.split("|"))
#: Characters of a tag at most, with its attributes.
_LONGEST = 200
_TAG = re.compile(rf"<(/?)(?:{_NAME})(?:[\s/][^<>]{{0,180}})?>", re.IGNORECASE)
_ATTRIBUTES = re.compile(rf"</?(?:{_NAME})[\s/][^<>]*+", re.IGNORECASE)


@dataclass(frozen=True)
class Shown:
    """What a piece adds to the answer. `void`: everything shown before it was reasoning."""

    text: str
    void: bool = False


class ReasoningFilter:
    """Reads one answer piece by piece, cut anywhere, and gives the part that is meant for the reader.

    Blanks before the answer are left out. Of an answer that ends inside of its reasoning nothing is left.
    """

    def __init__(self) -> None:
        self._held = ""
        self._hidden = False
        self._begun = False
        #: Whether there was any reasoning.
        self.reasoned = False

    def feed(self, piece: str) -> Shown:
        """Read one more piece."""
        text, self._held = self._held + piece, ""
        shown: list[str] = []
        void = False
        at = 0
        while (start := text.find("<", at)) >= 0:
            if not self._hidden:
                shown.append(text[at:start])
            tag = _TAG.match(text, start)
            if tag is None:
                if _unfinished(text[start:]):
                    self._held = text[start:]
                    return self._show(shown, void)
                shown.append("" if self._hidden else "<")
                at = start + 1
                continue
            at = tag.end()
            self.reasoned = True
            if not tag[1]:
                # An empty element, `<think/>`, opens nothing.
                self._hidden = self._hidden or not tag[0].endswith("/>")
            elif self._hidden:
                self._hidden = False
            else:
                void = void or self._begun
                self._begun = False
                shown.clear()
        if not self._hidden:
            shown.append(text[at:])
        return self._show(shown, void)

    def end(self) -> Shown:
        """The answer is over: what was held back as the possible beginning of a tag is shown, unless it is one."""
        held, self._held = self._held, ""
        if self._hidden or _ATTRIBUTES.match(held) or held[1:].lstrip("/").lower() in _NAMES:
            return Shown("")
        return self._show([held], void=False)

    def _show(self, shown: list[str], void: bool) -> Shown:
        text = "".join(shown)
        if not self._begun:
            text = text.lstrip()
            self._begun = bool(text)
        return Shown(text, void)


def _unfinished(rest: str) -> bool:
    """Whether more text could make a tag of this, which begins with `<`."""
    if len(rest) > _LONGEST:
        return False
    name = rest[1:].removeprefix("/").lower()
    return any(known.startswith(name) for known in _NAMES) or _ATTRIBUTES.fullmatch(rest) is not None
