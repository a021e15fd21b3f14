"""HuggingFace's router, which speaks OpenAI's chat completions, through requests."""

import contextlib
import json
import socket
from collections.abc import Generator
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
from pixelbloom.models.abortable_connection import Line
from pixelbloom.models.failures import ProviderFailure, ProviderTimeout, ProviderUnreachable, RequestRefused
from pixelbloom.models.provider import CONNECT_SECONDS, MAX_REPLY_BYTES
from pixelbloom.models.request import Cut, ModelRequest, ProviderName, Usage
from pixelbloom.models.sse import data_lines
from pixelbloom.models.text import shorten

#: Answers that are about the provider or our account, whatever the request: they count against the breaker.
_NOT_THE_REQUEST = frozenset({401, 402, 403, 408, 429})

_CUTS: dict[str, Cut] = {"length": "length", "content_filter": "content_filter"}

#: What the libraries raise, and what reading a malformed event raises.
_FAULTS = (requests.RequestException, HTTPError, OSError, ValueError, TypeError, AttributeError)


class _Bearer(AuthBase):
    """The key as a header; given as `auth`, so that no .netrc replaces it."""

    def __init__(self, key: SecretStr) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        return request


class _LineAdapter(HTTPAdapter):
    """Gives the sockets of its connections to the line. No retries: the manager decides."""

    def __init__(self, line: Line) -> None:
        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                sock = super()._new_conn()
                line.attach(sock)
                return sock

        class Encrypted(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                sock = super()._new_conn()
                line.attach(sock)
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
        """The configured one; the names at Ollama mean nothing here."""
        return self._settings.huggingface_model

    def stream(self, request: ModelRequest, line: Line, usage: Usage) -> Generator[str]:
        """POST /chat/completions, streaming."""
        finished = False
        try:
            with requests.Session() as session:
                adapter = _LineAdapter(line)
                session.mount("http://", adapter)
                session.mount("https://", adapter)
                response = session.post(
                    f"{self._settings.huggingface_base_url}/chat/completions",
                    json=self._body(request),
                    auth=self._auth,
                    headers={"Accept": "text/event-stream"},
                    stream=True,
                    allow_redirects=False,
                    timeout=(min(CONNECT_SECONDS, line.remaining()), line.remaining()),
                )
                with contextlib.closing(response):
                    if response.status_code != 200:
                        raise _refusal(response, self.model_for(request))
                    for data in data_lines(response.raw.stream(65536, decode_content=True), MAX_REPLY_BYTES):
                        line.check()
                        if data == "[DONE]":
                            finished = True
                            break
                        event = json.loads(data)
                        if event.get("error"):
                            raise ProviderFailure(f"HuggingFace failed: {_told(event)}")
                        _count(event.get("usage"), usage)
                        for choice in event.get("choices") or ():
                            # Some providers behind the router end without [DONE]; the reason is the end too.
                            finished = finished or bool(choice.get("finish_reason"))
                            usage.cut = _CUTS.get(str(choice.get("finish_reason")), usage.cut)
                            delta = choice.get("delta") or {}
                            called = delta.get("tool_calls") or delta.get("function_call")
                            usage.tool_calls = usage.tool_calls or bool(called)
                            if piece := _text(delta.get("content")):
                                yield piece
        except _FAULTS as error:
            line.check()
            raise _failure(error, self._settings.huggingface_base_url) from error
        line.check()
        if not finished:
            raise ProviderFailure("HuggingFace ended its answer in the middle")

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
    """The text of a delta: a string, or a list of parts of which only those of text count. Raises TypeError."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, dict):
        text = content.get("text") if content.get("type", "text") in ("text", "output_text") else None
        return _text(text)
    if isinstance(content, list):
        return "".join(_text(part) for part in content if isinstance(part, str | dict))
    raise TypeError("content is neither a text nor a list of parts")


def _count(told: Any, usage: Usage) -> None:
    if isinstance(told, dict):
        usage.prompt_tokens = max(0, int(told.get("prompt_tokens") or 0))
        usage.completion_tokens = max(0, int(told.get("completion_tokens") or 0))


def _told(document: Any) -> str:
    """The provider's own words: {"error": "..."} or {"error": {"message": "..."}}, or what else it said."""
    error = document.get("error", document) if isinstance(document, dict) else document
    if isinstance(error, dict):
        error = error.get("message", error)
    return shorten(str(error), 300)


def _refusal(response: requests.Response, model: str) -> ProviderFailure:
    status = response.status_code
    try:
        told = _told(json.loads(next(response.raw.stream(65536, decode_content=True), b"")))
    except ValueError:
        told = shorten(response.reason or "no reason given", 300)
    match status:
        case 401 | 403:
            return ProviderFailure(f"HuggingFace refused the key ({status}): check HUGGINGFACE_API_KEY")
        case 404:
            return RequestRefused(f"HuggingFace does not serve {model} (404): {told}")
        case _ if 400 <= status < 500 and status not in _NOT_THE_REQUEST:
            return RequestRefused(f"HuggingFace refused the request ({status}): {told}")
        case _:
            return ProviderFailure(f"HuggingFace failed ({status}): {told}")


def _cause(error: Exception) -> object:
    """urllib3's reason inside of requests' error."""
    return getattr(error.args[0], "reason", None) if error.args else None


def _failure(error: Exception, base_url: str) -> ProviderFailure:
    match error:
        case requests.ConnectTimeout():
            return ProviderUnreachable(f"HuggingFace does not answer at {base_url}")
        case requests.Timeout():
            return ProviderTimeout("HuggingFace fell silent")
        case requests.ConnectionError() if isinstance(_cause(error), NewConnectionError):
            return ProviderUnreachable(f"HuggingFace does not answer at {base_url}")
        case requests.RequestException() | HTTPError() | OSError():
            return ProviderFailure(f"the connection to HuggingFace broke: {type(error).__name__}")
        case _:
            return ProviderFailure(f"HuggingFace's answer could not be read: {type(error).__name__}")
