"""Passes a provider's reply to the stream, without the model's reasoning."""

import re
from dataclasses import dataclass

from pixelbloom.core.text import TextJoiner
from pixelbloom.models.request import TokenStream

_NAME = "think|thinking|thought|reasoning"
_NAMES = tuple(_NAME.split("|"))
#: Maximum characters of a tag with its attributes.
_LONGEST = 200
_TAG = re.compile(rf"<(/?)(?:{_NAME})(?:[\s/][^<>]{{0,180}})?>", re.IGNORECASE)
_ATTRIBUTES = re.compile(rf"</?(?:{_NAME})[\s/][^<>]*+", re.IGNORECASE)


@dataclass(frozen=True)
class Shown:
    """The text that a piece adds to the reply. `discard` means that everything shown before was reasoning."""

    text: str
    discard: bool = False


class ReasoningFilter:
    """Filters one reply, split into arbitrary pieces, and returns the text for the reader.

    Leading whitespace is dropped. A reply that ends inside its reasoning is empty.
    """

    def __init__(self) -> None:
        self._buffered = ""
        self._hidden = False
        self._begun = False
        #: Whether there was any reasoning.
        self.reasoned = False

    def feed(self, piece: str) -> Shown:
        """Return the text to show for the next piece."""
        text, self._buffered = self._buffered + piece, ""
        shown: list[str] = []
        discard = False
        at = 0
        while (start := text.find("<", at)) >= 0:
            if not self._hidden:
                shown.append(text[at:start])
            tag = _TAG.match(text, start)
            if tag is None:
                if _unfinished(text[start:]):
                    self._buffered = text[start:]
                    return self._show(shown, discard)
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
                discard = discard or self._begun
                self._begun = False
                shown.clear()
        if not self._hidden:
            shown.append(text[at:])
        return self._show(shown, discard)

    def end(self) -> Shown:
        """End the reply; return the buffered text unless it is the start of a tag."""
        rest, self._buffered = self._buffered, ""
        if self._hidden or _ATTRIBUTES.match(rest) or rest[1:].lstrip("/").lower() in _NAMES:
            return Shown("")
        return self._show([rest], discard=False)

    def _show(self, shown: list[str], discard: bool) -> Shown:
        text = "".join(shown)
        if not self._begun:
            text = text.lstrip()
            self._begun = bool(text)
        return Shown(text, discard)


def _unfinished(rest: str) -> bool:
    """Return whether more text could complete a tag; `rest` starts with `<`."""
    if len(rest) > _LONGEST:
        return False
    name = rest[1:].removeprefix("/").lower()
    return any(known.startswith(name) for known in _NAMES) or _ATTRIBUTES.fullmatch(rest) is not None


class Output:
    """The reply of one call at a time: cleaned, without its reasoning, streamed as it arrives.

    `text` is the streamed part of the current reply; `received` counts the characters that the provider sent.
    """

    def __init__(self, stream: TokenStream) -> None:
        self._stream = stream
        self._pieces: list[str] = []
        self._joiner = TextJoiner()
        self._filter = ReasoningFilter()
        self.received = 0

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def begin(self, provider: str) -> None:
        """Start the reply of `provider`; discard text streamed before, if any."""
        if self._pieces:
            self._stream.restart(provider)
        self._pieces = []
        self._joiner = TextJoiner()
        self._filter = ReasoningFilter()
        self.received = 0

    def feed(self, piece: str) -> None:
        """Add a piece of the reply."""
        self.received += len(piece)
        self._pass(self._filter.feed(self._joiner.feed(piece)))

    def end(self) -> None:
        """End the reply: stream the buffered rest."""
        self._pass(self._filter.feed(self._joiner.end()))
        self._pass(self._filter.end())

    def _pass(self, shown: Shown) -> None:
        if shown.discard and self._pieces:
            self._stream.restart()
            self._pieces = []
        if shown.text:
            self._pieces.append(shown.text)
            self._stream.token(shown.text)
