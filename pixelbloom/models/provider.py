"""The interface of model providers."""

from collections.abc import Generator
from typing import Protocol

from pixelbloom.models.abortable_connection import AbortableConnection
from pixelbloom.models.request import ModelRequest, ProviderName, Usage

#: Seconds to connect; a running provider accepts at once.
CONNECT_SECONDS = 3.0

#: Maximum bytes of a reply on the wire; far above any reply within max_tokens.
MAX_REPLY_BYTES = 16 * 1024 * 1024


class Provider(Protocol):
    """A service that runs models."""

    name: ProviderName

    def model_for(self, request: ModelRequest) -> str:
        """Return the provider's name of the model for the request."""

    def stream(self, request: ModelRequest, connection: AbortableConnection, usage: Usage) -> Generator[str]:
        """Send the request and yield the reply in pieces; fill `usage` when the provider reports it.

        Raises ProviderFailure, or the errors of `connection.check()`; ends normally only after a complete reply.
        """
