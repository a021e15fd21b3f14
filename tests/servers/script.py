"""Scripts of a stand-in for a model provider, and its generated replies."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

PROSE = (
    "Thank you for your message. A small website starts at four thousand dollars and takes about eight weeks. "
    "Tell us what you want to reach, and we come back with a first plan."
)


@dataclass(frozen=True)
class Script:
    """How the stand-in replies to one request. Seconds, and counts of pieces; None for the default."""

    text: str | None = None  # the reply; generated from the request if None
    pieces: Sequence[str] | None = None  # the reply, in the pieces to send
    delay: float | None = None  # before each piece
    first_delay: float = 0.0  # before the status line
    status: int = 200
    error: str = "internal error"  # sent with a status other than 200
    headers: Sequence[tuple[str, str]] = ()
    hang: bool = False  # read the request and never reply
    hang_after: int | None = None  # send so many pieces, then nothing more
    hold_after: int | None = None  # send so many pieces, and the others once `going_on` is set
    break_after: int | None = None  # send so many pieces, then drop the connection
    error_after: int | None = None  # send so many pieces, then an error inside of the stream
    garbage_after: int | None = None  # send so many pieces, then what is not the protocol
    unfinished: bool = False  # end the stream cleanly, but without its last message
    ended: str = "stop"  # done_reason, finish_reason
    thinking: Sequence[str] = ()  # sent before the reply as reasoning, in the provider's own field
    tool_calls: bool = False  # call a tool that nobody offered
    function_call: bool = False  # HuggingFace: call it in the older form
    parts: bool = False  # HuggingFace: each piece as a list of parts of all forms, and an empty choice with the usage
    done: bool = True  # HuggingFace: end with [DONE]

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Script":
        """For scripts that come over HTTP."""
        return cls(**document)

    def reply(self, schema: dict[str, Any] | None) -> list[str]:
        """The pieces to send."""
        if self.pieces is not None:
            return list(self.pieces)
        text = self.text
        if text is None:
            text = PROSE if schema is None else json.dumps(sample(schema), indent=1)
        return re.findall(r"\S+\s*|\s+", text)


def sample(schema: dict[str, Any], name: str = "answer") -> Any:
    """Return a value that matches the schema, as far as a provider's grammar would enforce it."""
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return sample(schema["anyOf"][0], name)
    match schema.get("type"):
        case "object":
            return {key: sample(part, key) for key, part in schema.get("properties", {}).items()}
        case "array":
            return [sample(schema.get("items", {}), name) for _ in range(max(1, schema.get("minItems", 1)))]
        case "integer":
            return 1
        case "number":
            return 1.5
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return f"The model's {name.replace('_', ' ')}."
