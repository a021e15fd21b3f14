"""A stand-in for Ollama: /api/chat (streaming NDJSON, `format`), /api/tags, /api/version, its errors.

As a process: `python -m tests.servers.ollama --port 11434 --delay 0.05`.
"""

import json
import sys
from typing import Any

from tests.servers.provider import ModelHandler, ModelServer, serve
from tests.servers.script import Script

MODELS = ("llama3.1:8b", "mistral:7b", "codellama:latest", "llama3:latest")


class OllamaHandler(ModelHandler):
    """Ollama's protocol."""

    server: "OllamaServer"

    def handle_get(self) -> None:
        match self.path:
            case "/api/version":
                self.send_document(200, {"version": "0.12.3"})
            case "/api/tags":
                models = [
                    {
                        "name": name,
                        "model": name,
                        "modified_at": "2025-01-26T00:00:00Z",
                        "size": 4_000_000_000,
                        "digest": "0" * 64,
                        "details": {"format": "gguf", "family": "llama", "parameter_size": "8B"},
                    }
                    for name in self.server.models
                ]
                self.send_document(200, {"models": models})
            case _:
                super().handle_get()

    def handle_post(self, document: dict[str, Any], script: Script) -> None:
        if self.path != "/api/chat":
            self.send_document(404, self.error_document("not found"))
            return
        model = document["model"]
        if (model if ":" in model else f"{model}:latest") not in self.server.models:
            self.send_document(404, self.error_document(f"model '{model}' not found"))
            return
        if document.get("think") is not None and model in self.server.unaware:
            self.send_document(400, self.error_document(f'"{model}" does not support thinking'))
            return
        pieces = script.reply(document.get("format") or None)
        head = {"model": model, "created_at": "2025-01-26T00:00:00Z"}
        if not document.get("stream", True):
            message = {"role": "assistant", "content": "".join(self.paced(pieces, script))}  # type: ignore[arg-type]
            self.send_document(200, {**head, "message": message, **self.done(document, pieces)})
            return
        self.begin_stream("application/x-ndjson")
        for thought in script.thinking:
            message = {"role": "assistant", "content": "", "thinking": thought}
            self.send_chunk(json.dumps({**head, "message": message, "done": False}) + "\n")
        if script.tool_calls:
            call = {"function": {"name": "search", "arguments": {"query": "weather"}}}
            asked = {"role": "assistant", "content": "", "tool_calls": [call]}
            self.send_chunk(json.dumps({**head, "message": asked, "done": False}) + "\n")
        for piece in self.paced(pieces, script):
            if piece is None:
                self.send_chunk(
                    '{"error":"llama runner process has terminated"}\n'
                    if script.error_after is not None
                    else "<html>\n"
                )
                self.end_stream()
                return
            message = {"role": "assistant", "content": piece}
            self.send_chunk(json.dumps({**head, "message": message, "done": False}) + "\n")
        if not script.unfinished:
            message = {"role": "assistant", "content": ""}
            done = {**self.done(document, pieces), "done_reason": script.ended}
            self.send_chunk(json.dumps({**head, "message": message, **done}) + "\n")
        self.end_stream()

    @staticmethod
    def done(document: dict[str, Any], pieces: list[str]) -> dict[str, Any]:
        """The fields of the last message."""
        prompt = sum(len(message["content"]) for message in document["messages"]) // 4
        return {
            "done": True,
            "done_reason": "stop",
            "total_duration": 5_000_000,
            "load_duration": 1_000_000,
            "prompt_eval_count": prompt,
            "prompt_eval_duration": 1_000_000,
            "eval_count": len(pieces),
            "eval_duration": 3_000_000,
        }


class OllamaServer(ModelServer):
    """A stand-in for Ollama."""

    handler = OllamaHandler

    def __init__(self, port: int = 0, delay: float = 0.0, models: tuple[str, ...] = MODELS) -> None:
        super().__init__(port, delay)
        self.models = models
        #: Models that refuse a request with `think` in it.
        self.unaware: set[str] = set()


if __name__ == "__main__":
    serve(OllamaServer, sys.argv[1:])
