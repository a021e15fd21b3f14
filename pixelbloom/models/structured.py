"""Reading the JSON that a model promised."""

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pixelbloom.models.failures import InvalidReply
from pixelbloom.models.text import clean

M = TypeVar("M", bound=BaseModel)

#: Places that are tried, and characters that are read for them all as a multiple of the text's length.
MAX_PLACES = 1000
MAX_READS = 8

_DECODER = json.JSONDecoder(strict=False)


def read_json(text: str, model_type: type[M]) -> M:
    """The answer as `model_type`. Raises InvalidReply, whose message tells the model what to repair.

    What stands around the object is passed over: prose, code fences, braces in prose, other objects. Of several
    objects that fit, the last one counts: models try out before they settle.
    """
    objects, reason, reach = _objects(text)
    for value, length in reversed(objects):
        try:
            return _validated(value, model_type)
        except ValidationError as error:
            if length >= reach:
                reach, reason = length, _mismatch(error)
    raise InvalidReply(reason)


def _objects(text: str) -> tuple[list[tuple[dict[str, Any], int]], str, int]:
    """The JSON objects in the text that stand in no other, each with its length; why the longest other try failed, and
    how far it came.
    """
    found: list[tuple[dict[str, Any], int]] = []
    reason, reach = "the answer holds no JSON object", -1
    at, reads = text.find("{"), 0
    for _ in range(MAX_PLACES):
        if at < 0 or reads > MAX_READS * len(text):
            break
        end = at + 1
        try:
            value, end = _DECODER.raw_decode(text, at)
            found.append((clean(value), end - at))
            reads += end - at
        except RecursionError:
            return found, "the JSON is nested too deeply", len(text)
        except json.JSONDecodeError as error:
            reads += error.pos - at + 1
            if error.pos - at > reach:
                reason, reach = f"the answer is not JSON: {error.msg} (character {error.pos - at + 1})", error.pos - at
            if error.msg.startswith("Unterminated string") or not text[error.pos :].strip():
                # It goes on to the end of the text: what stands in it is a part of the answer and not the answer.
                break
        except ValueError as error:
            reason, reach = f"the answer is not JSON: {error}", max(reach, 0)
        at = text.find("{", end)
    return found, reason, reach


def _validated(value: dict[str, Any], model_type: type[M]) -> M:
    """Raises ValidationError. An object whose only member is an object may be a wrapper around the answer."""
    inner = next(iter(value.values())) if len(value) == 1 else None
    if isinstance(inner, dict) and not value.keys() & model_type.model_fields.keys():
        return model_type.model_validate(inner)
    return model_type.model_validate(value)


def _mismatch(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_input=False)[:5]
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'answer'}: {fault['msg']}" for fault in faults)
