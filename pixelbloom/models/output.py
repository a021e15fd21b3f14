"""An answer on its way from the provider to whoever reads it."""

from pixelbloom.models.reasoning import ReasoningFilter, Shown
from pixelbloom.models.request import TokenStream
from pixelbloom.models.text import TextJoiner


class Output:
    """The answer of one call at a time: cleaned, without its reasoning, passed on to the stream as it comes.

    `text` is what was passed on of the present answer, `received` the characters that the provider sent.
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
        """Discard what was passed on, where there is something: `provider` answers next."""
        if self._pieces:
            self._stream.restart(provider)
        self._pieces = []
        self._joiner = TextJoiner()
        self._filter = ReasoningFilter()
        self.received = 0

    def feed(self, piece: str) -> None:
        """Take a piece of the answer."""
        self.received += len(piece)
        self._pass(self._filter.feed(self._joiner.feed(piece)))

    def end(self) -> None:
        """The answer is whole: pass on what was held back."""
        self._pass(self._filter.feed(self._joiner.end()))
        self._pass(self._filter.end())

    def _pass(self, shown: Shown) -> None:
        if shown.void and self._pieces:
            self._stream.restart()
            self._pieces = []
        if shown.text:
            self._pieces.append(shown.text)
            self._stream.token(shown.text)
