"""`InvokeRequest`: one variant for each agent, so that a generated client knows each agent's `input`."""

import json
from copy import deepcopy
from typing import Any

from pixelbloom.agents import registry
from pixelbloom.web.http.openapi.responses import SCHEMA
from pixelbloom.web.http.schemas import InvokeRequest


def schemas() -> dict[str, Any]:
    """Return the schemas of the request, its variants and their inputs, by name."""
    general = deepcopy(InvokeRequest.model_json_schema())
    found: dict[str, Any] = {}
    variants, mapping = [], {}
    for agent in registry.all():
        name = "".join(part.title() for part in agent.agent_type.split("_"))
        inputs = agent.input.model_json_schema(ref_template=SCHEMA + name + "{model}")
        inputs = json.loads(json.dumps(inputs).replace(f"{SCHEMA}{name}_", SCHEMA + name))
        for inner, schema in inputs.pop("$defs", {}).items():
            found[name + inner.lstrip("_")] = schema
        found[f"{name}Input"] = {key: value for key, value in inputs.items() if key != "title"}
        found[f"Invoke{name}"] = {
            "type": "object",
            "description": f"{agent.title}: {agent.description}",
            "properties": {
                **general["properties"],
                "agent_type": {"type": "string", "const": agent.agent_type},
                "input": {"$ref": f"{SCHEMA}{name}Input"},
            },
            "required": general["required"],
            "additionalProperties": False,
        }
        variants.append({"$ref": f"{SCHEMA}Invoke{name}"})
        mapping[agent.agent_type] = f"{SCHEMA}Invoke{name}"
    found["InvokeRequest"] = {
        "description": "An agent and its input.",
        "oneOf": variants,
        "discriminator": {"propertyName": "agent_type", "mapping": mapping},
    }
    return found
