"""What can go wrong with the local stack."""

from pixelbloom.errors import PixelBloomError


class StackError(PixelBloomError):
    """A part of the local stack cannot start or stay up; the message says which, and what to do."""

    code = "UNAVAILABLE"
