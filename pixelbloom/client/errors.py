"""Errors that only the client raises."""

from collections.abc import Sequence

from pixelbloom.errors import FieldError, PixelBloomError


class ApiError(PixelBloomError):
    """The API returned an error.

    `code` is that of the body, `details` name the invalid fields, `retry_after` is in seconds where the
    response has it, `request_id` finds the request in the server's logs.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        details: Sequence[FieldError] = (),
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.details = tuple(details)
        self.request_id = request_id
        self.retry_after = retry_after


class SocketRejected(PixelBloomError):
    """The server closed the socket for good: coming back with the same token and frames would not help.

    `close_code` is the WebSocket close code, or None where the server did not even upgrade the connection.
    """

    code = "UNAUTHORIZED"

    def __init__(self, message: str, *, close_code: int | None) -> None:
        super().__init__(message)
        self.close_code = close_code
