"""The subset of server-sent events that chat completions use: `data:` lines with one JSON document each."""

from collections.abc import Iterable, Iterator


def data_lines(chunks: Iterable[bytes], limit: int) -> Iterator[str]:
    """Yield the text after each `data:`. Raises ValueError beyond `limit` bytes or if the bytes are not UTF-8."""
    total = 0
    pending = b""
    for chunk in chunks:
        total += len(chunk)
        if total > limit:
            raise ValueError("the reply is too large")
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip().decode()
    if pending.startswith(b"data:"):
        yield pending[5:].strip().decode()
