"""Passes a provider's reply to the stream."""

from pixelbloom.core.text import TextJoiner
from pixelbloom.models.reasoning import ReasoningFilter, Shown
from pixelbloom.models.request import TokenStream


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
