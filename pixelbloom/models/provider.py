"""What a provider of models is to ModelManager."""

from collections.abc import Generator
from typing import Protocol

from pixelbloom.models.abortable_connection import Line
from pixelbloom.models.request import ModelRequest, ProviderName, Usage

#: Seconds to get a connection; a provider that is up accepts at once.
CONNECT_SECONDS = 3.0

#: Bytes of one answer on the wire; far above any answer within max_tokens.
MAX_REPLY_BYTES = 16 * 1024 * 1024


class Provider(Protocol):
    """A service that runs models."""

    name: ProviderName

    def model_for(self, request: ModelRequest) -> str:
        """The model that the request will be given to, by the provider's name for it."""

    def stream(self, request: ModelRequest, line: Line, usage: Usage) -> Generator[str]:
        """Ask, and give the answer piece by piece; fill `usage` when the provider tells it.

        Raises ProviderFailure, or what `line.check()` raises; ends without only after a whole answer.
        """
