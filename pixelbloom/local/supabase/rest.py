"""`/rest/v1`: PostgREST, with every method, header, status and body passed through as it comes."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import httpx

CHUNK_BYTES = 64 * 1024
#: Of one connection each; they are not passed on (RFC 9110, section 7.6.1). `Host` is PostgREST's own.
HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    }
)
#: Headers that gunicorn writes itself.
SERVERS_OWN = frozenset({"server", "date"})

Headers = list[tuple[str, str]]


class Rest:
    """Streams requests to PostgREST and its responses back. Safe to share between threads."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = httpx.Client(
            timeout=httpx.Timeout(None, connect=5.0),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32, keepalive_expiry=10.0),
            trust_env=False,
        )

    def send(self, environ: dict[str, Any], path: str) -> tuple[str, Headers, Iterable[bytes]]:
        """The status line, the headers and the body of PostgREST's response to `path`, which starts with a slash.

        Raises httpx.HTTPError where PostgREST cannot be reached, and httpx.InvalidURL where the address is too long.
        The body must be closed.
        """
        query = environ.get("QUERY_STRING", "")
        request = httpx.Request(
            environ["REQUEST_METHOD"],
            f"{self._url}{path}{'?' if query else ''}{query}",
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in _request_headers(environ)],
            content=_body(environ) if _has_body(environ) else None,
        )
        response = self._client.send(request, stream=True)
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in response.headers.raw
            if name.decode("latin-1").lower() not in HOP_BY_HOP | SERVERS_OWN
        ]
        return f"{response.status_code} {response.reason_phrase}", headers, _Stream(response)


class _Stream:
    """Yield the bytes of a response unchanged, also compressed ones."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        return self._response.iter_raw()

    def close(self) -> None:
        with suppress(httpx.HTTPError):
            self._response.close()


def _request_headers(environ: dict[str, Any]) -> Headers:
    found = [
        (name[5:].replace("_", "-"), str(value))
        for name, value in environ.items()
        if name.startswith("HTTP_") and name != "HTTP_HOST"
    ]
    found += [
        (name.replace("_", "-"), environ[name]) for name in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(name)
    ]
    own = {part.strip().lower() for part in environ.get("HTTP_CONNECTION", "").split(",")}
    return [(name, value) for name, value in found if name.lower() not in HOP_BY_HOP | own | {"expect"}]


def _has_body(environ: dict[str, Any]) -> bool:
    return bool(environ.get("CONTENT_LENGTH")) or "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()


def _body(environ: dict[str, Any]) -> Iterator[bytes]:
    read: Callable[[int], bytes] = environ["wsgi.input"].read
    while chunk := read(CHUNK_BYTES):
        yield chunk
