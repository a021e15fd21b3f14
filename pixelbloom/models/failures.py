"""The failures of a call to a provider. None of them ends a run: ModelManager tries the next provider."""

from pixelbloom.errors import ProviderError
from pixelbloom.models.request import Outcome


class ProviderFailure(ProviderError):
    """A call without a usable reply.

    `outcome` is the outcome in the metrics. `alive` means that the provider itself works, so that its circuit breaker
    must not count this as an outage: a missing model says nothing about the others.
    """

    outcome: Outcome = "error"
    alive = False


class ProviderUnreachable(ProviderFailure):
    """The provider is unreachable."""

    outcome = "refused"


class ProviderTimeout(ProviderFailure):
    """The complete reply did not arrive in time."""

    outcome = "timeout"


class RequestRefused(ProviderFailure):
    """The provider works but rejects this request: an unknown model, or a request it cannot parse."""

    alive = True


class InvalidReply(ProviderFailure):
    """A complete reply that is invalid."""

    outcome: Outcome = "invalid"
    alive = True


class CutReply(InvalidReply):
    """A reply that ran out of tokens before it was usable; more tokens may help."""


class CircuitOpen(ProviderFailure):
    """Not attempted: the provider failed repeatedly and recently."""
