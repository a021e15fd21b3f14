"""A stand-in for HuggingFace's router: POST /v1/chat/completions (server-sent events with usage), GET /v1/models.

As a process: `python -m tests.servers.huggingface --port 11500`; HUGGINGFACE_BASE_URL is then http://127.0.0.1:11500/v1.
The only key it knows is `hf_test`.
"""

import json
import sys
from typing import Any

from tests.servers.provider import ModelHandler, ModelServer, serve
from tests.servers.script import Script

KEY = "hf_test"
MODELS = ("meta-llama/Llama-3.1-8B-Instruct",)


class HuggingFaceHandler(ModelHandler):
    """The router's protocol."""

    server: "HuggingFaceServer"

    def known_key(self) -> bool:
        """Return whether the caller has the key; if not, send the error."""
        if self.headers.get("Authorization") == f"Bearer {KEY}":
            return True
        self.send_document(401, {"error": "Invalid username or password."})
        return False

    def handle_get(self) -> None:
        if self.path != "/v1/models":
            super().handle_get()
        elif self.known_key():
            models = [{"id": name, "object": "model", "owned_by": name.split("/")[0]} for name in self.server.models]
            self.send_document(200, {"object": "list", "data": models})

    def handle_post(self, document: dict[str, Any], script: Script) -> None:
        if self.path != "/v1/chat/completions":
            self.send_document(404, self.error_document("Not Found"))
            return
        if not self.known_key():
            return
        model = document["model"]
        if model not in self.server.models:
            error = {"message": f"The requested model '{model}' does not exist", "code": "model_not_found"}
            self.send_document(404, {"error": error})
            return
        form = document.get("response_format") or {}
        pieces = script.reply(form.get("json_schema", {}).get("schema"))
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1737849600, "model": model}
        self.begin_stream("text/event-stream")
        self.send_chunk(": keep-alive\n\n")
        for number, thought in enumerate(script.thinking):
            field = "reasoning" if number % 2 else "reasoning_content"
            delta = {"role": "assistant", "content": None, field: thought}
            self.event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        if script.tool_calls:
            call = {"index": 0, "id": "1", "type": "function", "function": {"name": "search", "arguments": "{}"}}
            delta = {"role": "assistant", "content": None, "tool_calls": [call]}
            self.event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        if script.function_call:
            delta = {"role": "assistant", "content": None, "function_call": {"name": "search", "arguments": "{}"}}
            self.event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        for piece in self.paced(pieces, script):
            if piece is None:
                self.event({"error": {"message": "overloaded"}} if script.error_after is not None else None)
                self.end_stream()
                return
            delta = {"role": "assistant", "content": parts_of(piece) if script.parts else piece}
            self.event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        if not script.unfinished:
            self.event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": script.ended}]})
            prompt = sum(len(message["content"]) for message in document["messages"]) // 4
            usage = {
                "prompt_tokens": prompt,
                "completion_tokens": len(pieces),
                "total_tokens": prompt + len(pieces),
            }
            empty = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
            self.event({**head, "choices": [empty] if script.parts else [], "usage": usage})
            if script.done:
                self.send_chunk("data: [DONE]\n\n")
        self.end_stream()

    def event(self, document: Any) -> None:
        """One event; None is one that is no JSON."""
        self.send_chunk(f"data: {'<html>' if document is None else json.dumps(document)}\n\n")


def parts_of(piece: str) -> list[Any]:
    """The piece, each letter in a part of another form, among parts that are no text."""
    first, second, third, rest = piece[:1], piece[1:2], piece[2:3], piece[3:]
    return [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": first},
        {"type": "reasoning", "text": "hm"},
        {"type": "output_text", "text": second},
        {"text": third},
        None,
        rest,
    ]


class HuggingFaceServer(ModelServer):
    """A stand-in for HuggingFace's router."""

    handler = HuggingFaceHandler

    def __init__(self, port: int = 0, delay: float = 0.0, models: tuple[str, ...] = MODELS) -> None:
        super().__init__(port, delay)
        self.models = models

    @property
    def base_url(self) -> str:
        """What HUGGINGFACE_BASE_URL is to be."""
        return f"{self.url}/v1"


if __name__ == "__main__":
    serve(HuggingFaceServer, sys.argv[1:])
