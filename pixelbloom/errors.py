"""The one tree of errors. It knows no HTTP: `pixelbloom.web.http.errors` maps it to a status, once.

A message is a sentence for the caller that says what to do; it never carries a key, SQL or another user's data.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FieldError:
    """One invalid field, by its dotted path in the request."""

    field: str
    message: str


class PixelBloomError(Exception):
    """The base of all PixelBloom errors."""

    code = "INTERNAL"

    def __init__(self, message: str) -> None:
        # Some messages end with a quoted sentence that has its own full stop.
        if message.endswith("..") and not message.endswith("..."):
            message = message[:-1]
        super().__init__(message)
        self.message = message


class ConfigurationError(PixelBloomError):
    """A setting is missing or invalid; the message names the variable."""

    code = "UNAVAILABLE"


class InvalidInput(PixelBloomError):
    """The caller's input is invalid."""

    code = "BAD_REQUEST"

    def __init__(self, message: str, details: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        self.details = tuple(details)

    @classmethod
    def of(cls, details: Sequence[FieldError], about: str = "") -> "InvalidInput":
        """Return an error whose message is `about` and the first of these details."""
        return cls(f"{about}{details[0].field} {details[0].message}.", details)


class Unauthenticated(PixelBloomError):
    """No token, or an invalid one."""

    code = "UNAUTHORIZED"


class Forbidden(PixelBloomError):
    """The caller is not allowed to do this."""

    code = "FORBIDDEN"


class NotFound(PixelBloomError):
    """There is no such object, or it is not the caller's; the two look the same."""

    code = "NOT_FOUND"


class Conflict(PixelBloomError):
    """The current state does not allow it, or an idempotency key was used with another body."""

    code = "CONFLICT"


class RateLimited(PixelBloomError):
    """Too many requests. `retry_after` is in seconds."""

    code = "RATE_LIMITED"

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(PixelBloomError):
    """A required service is unreachable. `retry_after` is in seconds."""

    code = "UNAVAILABLE"

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UpstreamError(PixelBloomError):
    """An external service returned an error."""

    code = "UPSTREAM_ERROR"


class StepError(PixelBloomError):
    """A step ended without a result. `retryable` means that another attempt may help."""

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
    """The step cannot succeed; retrying does not help."""

    code = "REJECTED"
    retryable = False


class ProviderError(PixelBloomError):
    """A model provider failed; ModelManager tries the next one."""

    code = "PROVIDER_ERROR"


class ModelsUnavailable(PixelBloomError):
    """All model providers failed; the agent uses its rule-based fallback."""

    code = "MODELS_UNAVAILABLE"


class StackError(PixelBloomError):
    """A part of the local stack cannot start or stay up; the message names it and the fix."""

    code = "UNAVAILABLE"
