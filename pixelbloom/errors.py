"""The one tree of errors. It knows no HTTP: `pixelbloom.web.http.errors` maps it to a status, once.

A message is a sentence for the caller that says what to do; it never carries a key, SQL or another user's data.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FieldError:
    """One field at fault, by its dotted path in the request."""

    field: str
    message: str


class PixelBloomError(Exception):
    """Whatever we raise on purpose."""

    code = "INTERNAL"

    def __init__(self, message: str) -> None:
        # Some end with a sentence of somebody else's, which has its own full stop.
        if message.endswith("..") and not message.endswith("..."):
            message = message[:-1]
        super().__init__(message)
        self.message = message


class ConfigurationError(PixelBloomError):
    """A setting is missing or wrong; the message names the variable."""

    code = "UNAVAILABLE"


class InvalidInput(PixelBloomError):
    """The caller's input cannot be taken."""

    code = "BAD_REQUEST"

    def __init__(self, message: str, details: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        self.details = tuple(details)


class Unauthenticated(PixelBloomError):
    """No token, or one that does not verify."""

    code = "UNAUTHORIZED"


class Forbidden(PixelBloomError):
    """A verified caller who may not do this."""

    code = "FORBIDDEN"


class NotFound(PixelBloomError):
    """No such thing, or not the caller's: the two look the same."""

    code = "NOT_FOUND"


class Conflict(PixelBloomError):
    """The state does not allow it, or an idempotency key came with another body."""

    code = "CONFLICT"


class RateLimited(PixelBloomError):
    """Too much, too soon. `retry_after` is in seconds."""

    code = "RATE_LIMITED"

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(PixelBloomError):
    """A part we need does not answer now. `retry_after` is in seconds."""

    code = "UNAVAILABLE"

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UpstreamError(PixelBloomError):
    """An outside service answered, and badly."""

    code = "UPSTREAM_ERROR"


class StepError(PixelBloomError):
    """A step of a run ended without a result. `retryable` says whether another attempt may help."""

    code = "STEP_FAILED"
    retryable = True


class StepTimeout(StepError):
    """The step's deadline passed."""

    code = "TIMEOUT"


class StepCancelled(StepError):
    """The run was cancelled, or the lease on the step was lost."""

    code = "CANCELLED"
    retryable = False


class StepRejected(StepError):
    """The step cannot succeed however often it is tried."""

    code = "REJECTED"
    retryable = False


class ProviderError(PixelBloomError):
    """A model provider could not answer; ModelManager goes on to the next."""

    code = "PROVIDER_ERROR"


class ModelsUnavailable(PixelBloomError):
    """No model provider could answer; the agent uses its rule-based fallback."""

    code = "MODELS_UNAVAILABLE"


class StackError(PixelBloomError):
    """A part of the local stack cannot start or stay up; the message says which, and what to do."""

    code = "UNAVAILABLE"
