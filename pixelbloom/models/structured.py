"""Reading the JSON that a model promised."""

import json
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from pixelbloom.models.failures import InvalidReply
from pixelbloom.models.text import clean

M = TypeVar("M", bound=BaseModel)


def read_json(text: str, model_type: type[M]) -> M:
    """The answer as `model_type`. Raises InvalidReply, whose message tells the model what to mend.

    Prose or a code fence around the object is forgiven: models that know no grammar write it.
    """
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        raise InvalidReply("the answer holds no JSON object")
    try:
        value = clean(json.loads(text[start : end + 1], strict=False))
    except RecursionError:
        raise InvalidReply("the JSON is nested too deeply") from None
    except ValueError as error:
        raise InvalidReply(f"the answer is not JSON: {error}") from None
    try:
        return model_type.model_validate(value)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)[:5]
        told = (f"{'.'.join(map(str, fault['loc'])) or 'answer'}: {fault['msg']}" for fault in faults)
        raise InvalidReply("; ".join(told)) from None
