"""HuggingFace's router, which implements OpenAI's chat completions and streams server-sent events, through requests."""

import contextlib
import json
import socket
from collections.abc import Generator, Iterable, Iterator
from typing import Any

import requests
from pydantic import SecretStr
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3 import PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, NewConnectionError

from pixelbloom.config import Settings
from pixelbloom.core.text import shorten
from pixelbloom.models.abortable_connection import AbortableConnection
from pixelbloom.models.failures import ProviderFailure, ProviderTimeout, ProviderUnreachable, RequestRefused
from pixelbloom.models.provider import CONNECT_SECONDS, MAX_REPLY_BYTES
from pixelbloom.models.request import Cut, ModelRequest, ProviderName, Usage

#: Statuses about the provider or our account, not the request: the breaker counts them as failures.
_NOT_THE_REQUEST = frozenset({401, 402, 403, 408, 429})

_CUTS: dict[str, Cut] = {"length": "length", "content_filter": "content_filter"}

#: Errors of the libraries, and of parsing a malformed event.
_ERRORS = (requests.RequestException, HTTPError, OSError, ValueError, TypeError, AttributeError)


class _Bearer(AuthBase):
    """Sets the key as a header. It is passed as `auth` so that no .netrc overrides it."""

    def __init__(self, key: SecretStr) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        return request


class _AbortableAdapter(HTTPAdapter):
    """Registers the sockets of its connections. It does not retry: the manager decides."""

    def __init__(self, connection: AbortableConnection) -> None:
        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                sock = super()._new_conn()
                connection.attach(sock)
                return sock

        class Encrypted(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                sock = super()._new_conn()
                connection.attach(sock)
                return sock

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class EncryptedPool(HTTPSConnectionPool):
            ConnectionCls = Encrypted

        self._pools: dict[str, Any] = {"http": PlainPool, "https": EncryptedPool}
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> PoolManager:
        manager: PoolManager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager


class HuggingFace:
    """HUGGINGFACE_MODEL at HUGGINGFACE_BASE_URL."""

    name: ProviderName = "huggingface"

    def __init__(self, settings: Settings, key: SecretStr) -> None:
        self._settings = settings
        self._auth = _Bearer(key)

    def model_for(self, request: ModelRequest) -> str:  # noqa: ARG002  (the protocol's signature)
        """Return the configured model; Ollama's names do not apply here."""
        return self._settings.huggingface_model

    def stream(self, request: ModelRequest, connection: AbortableConnection, usage: Usage) -> Generator[str]:
        """POST /chat/completions, streaming."""
        finished = False
        try:
            with requests.Session() as session:
                adapter = _AbortableAdapter(connection)
                session.mount("http://", adapter)
                session.mount("https://", adapter)
                response = session.post(
                    f"{self._settings.huggingface_base_url}/chat/completions",
                    json=self._body(request),
                    auth=self._auth,
                    headers={"Accept": "text/event-stream"},
                    stream=True,
                    allow_redirects=False,
                    timeout=(min(CONNECT_SECONDS, connection.remaining()), connection.remaining()),
                )
                with contextlib.closing(response):
                    if response.status_code != 200:
                        raise _refusal(response, self.model_for(request))
                    for data in data_lines(response.raw.stream(65536, decode_content=True), MAX_REPLY_BYTES):
                        connection.check()
                        if data == "[DONE]":
                            finished = True
                            break
                        event = json.loads(data)
                        if event.get("error"):
                            raise ProviderFailure(f"HuggingFace failed: {_error_text(event)}")
                        _count(event.get("usage"), usage)
                        for choice in event.get("choices") or ():
                            # Some providers behind the router omit [DONE]; a finish reason also ends the reply.
                            finished = finished or bool(choice.get("finish_reason"))
                            usage.cut = _CUTS.get(str(choice.get("finish_reason")), usage.cut)
                            delta = choice.get("delta") or {}
                            called = delta.get("tool_calls") or delta.get("function_call")
                            usage.tool_calls = usage.tool_calls or bool(called)
                            if piece := _text(delta.get("content")):
                                yield piece
        except _ERRORS as error:
            connection.check()
            raise _failure(error, self._settings.huggingface_base_url) from error
        connection.check()
        if not finished:
            raise ProviderFailure("HuggingFace's reply ended early")

    def _body(self, request: ModelRequest) -> dict[str, Any]:
        default = self._settings.ollama_temperature
        body: dict[str, Any] = {
            "model": self.model_for(request),
            "messages": [{"role": m.role, "content": m.content} for m in request.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": default if request.temperature is None else request.temperature,
            "max_tokens": request.max_tokens,
        }
        if request.schema is not None:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": request.agent_type, "schema": request.schema, "strict": True},
            }
        return body


def _text(content: Any) -> str:
    """Return the text of a delta: a string, or the text parts of a list. Raises TypeError."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, dict):
        text = content.get("text") if content.get("type", "text") in ("text", "output_text") else None
        return _text(text)
    if isinstance(content, list):
        return "".join(_text(part) for part in content if isinstance(part, str | dict))
    raise TypeError("content is neither a text nor a list of parts")


def _count(reported: Any, usage: Usage) -> None:
    if isinstance(reported, dict):
        usage.prompt_tokens = max(0, int(reported.get("prompt_tokens") or 0))
        usage.completion_tokens = max(0, int(reported.get("completion_tokens") or 0))


def _error_text(document: Any) -> str:
    """Return the provider's error message: {"error": "..."}, {"error": {"message": "..."}}, or the document."""
    error = document.get("error", document) if isinstance(document, dict) else document
    if isinstance(error, dict):
        error = error.get("message", error)
    return shorten(str(error), 300)


def _refusal(response: requests.Response, model: str) -> ProviderFailure:
    status = response.status_code
    try:
        reason = _error_text(json.loads(next(response.raw.stream(65536, decode_content=True), b"")))
    except ValueError:
        reason = shorten(response.reason or "no reason given", 300)
    match status:
        case 401 | 403:
            return ProviderFailure(f"HuggingFace rejected the key ({status}): check HUGGINGFACE_API_KEY")
        case 404:
            return RequestRefused(f"HuggingFace does not serve {model} (404): {reason}")
        case _ if 400 <= status < 500 and status not in _NOT_THE_REQUEST:
            return RequestRefused(f"HuggingFace rejected the request ({status}): {reason}")
        case _:
            return ProviderFailure(f"HuggingFace failed ({status}): {reason}")


def _cause(error: Exception) -> object:
    """Return urllib3's reason inside requests' error."""
    return getattr(error.args[0], "reason", None) if error.args else None


def _failure(error: Exception, base_url: str) -> ProviderFailure:
    match error:
        case requests.ConnectTimeout():
            return ProviderUnreachable(f"HuggingFace is unreachable at {base_url}")
        case requests.Timeout():
            return ProviderTimeout("HuggingFace timed out")
        case requests.ConnectionError() if isinstance(_cause(error), NewConnectionError):
            return ProviderUnreachable(f"HuggingFace is unreachable at {base_url}")
        case requests.RequestException() | HTTPError() | OSError():
            return ProviderFailure(f"the connection to HuggingFace broke: {type(error).__name__}")
        case _:
            return ProviderFailure(f"HuggingFace's reply could not be parsed: {type(error).__name__}")


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
