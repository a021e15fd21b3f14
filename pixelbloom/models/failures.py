"""How a provider can fail one call. None of these ends a run: ModelManager goes on to the next provider."""

from pixelbloom.errors import ProviderError
from pixelbloom.models.request import Outcome


class ProviderFailure(ProviderError):
    """A call that gave no usable answer.

    `outcome` is what the metrics say; `alive` that the provider itself is well, so that its circuit breaker
    must not take this for an outage: a model that is not there says nothing about the others.
    """

    outcome: Outcome = "error"
    alive = False


class ProviderUnreachable(ProviderFailure):
    """Nothing listens there, or it cannot be reached."""

    outcome = "refused"


class ProviderTimeout(ProviderFailure):
    """The whole answer did not come in the time that the call had."""

    outcome = "timeout"


class RequestRefused(ProviderFailure):
    """The provider is well and will not serve this request: an unknown model, a request it cannot read."""

    alive = True


class InvalidReply(ProviderFailure):
    """A whole answer, but not the promised one."""

    outcome: Outcome = "invalid"
    alive = True


class CutReply(InvalidReply):
    """An answer that ran out of tokens before it could be used; more of them may help."""


class CircuitOpen(ProviderFailure):
    """Not tried: the provider failed too often, too recently."""
