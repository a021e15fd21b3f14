"""The AsyncAPI 3 document of the three sockets, generated from the models of their frames."""

from functools import cache
from typing import Any, get_args

from pydantic.json_schema import models_json_schema

import pixelbloom
from pixelbloom.events.topics import ANALYTICS, NOTIFICATIONS, WORKFLOWS
from pixelbloom.web.realtime.messages import FROM_CLIENT, FROM_SERVER, Message

_SCHEMA = "#/components/schemas/"
_MESSAGE = "#/components/messages/"
_ABOUT = {
    ANALYTICS: "Leads, conversations, subscriptions; figures: `lead_trends`, `conversation_trends`, `kpis`.",
    NOTIFICATIONS: "Notifications as they come; the topic `user:<id>` begins with the unread ones.",
    WORKFLOWS: "Runs of agents and workflows as they happen, tokens included: topic `workflow_run:<id>`.",
}
_DESCRIPTION = """WebSockets with JSON text frames. An event comes in the flat form without a subscription, or as
`event` to subscribers of its topic. Close codes: 1008 missing or expired token; 1009 too large; 1012 the server
restarts; 1013 too slow or too fast, reconnect with `since`; 1001 the peer stopped responding to pings."""


_WHERE = "In the query parameter `token`, in `Authorization`, or in `Sec-WebSocket-Protocol`."


@cache
def asyncapi() -> dict[str, Any]:
    """Return the document."""
    models = [*((model, "validation") for model in FROM_CLIENT), *((model, "serialization") for model in FROM_SERVER)]
    _, schemas = models_json_schema(models, ref_template=_SCHEMA + "{model}")  # type: ignore[arg-type]
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "PixelBloom events", "version": pixelbloom.__version__, "description": _DESCRIPTION},
        "defaultContentType": "application/json",
        "channels": {name: _channel(name) for name in _ABOUT},
        "operations": {name: operation for channel in _ABOUT for name, operation in _operations(channel).items()},
        "components": {
            "schemas": {name: _clean(schema) for name, schema in sorted(schemas["$defs"].items())},
            "messages": {model.__name__: _message(model) for model in (*FROM_CLIENT, *FROM_SERVER)},
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": _WHERE,
                }
            },
        },
    }


def _channel(name: str) -> dict[str, Any]:
    token = {"type": "string", "description": "A JSON Web Token, if no header has it."}
    return {
        "address": f"/api/ws/{name}",
        "title": name.capitalize(),
        "description": _ABOUT[name],
        "messages": {
            model.__name__: {"$ref": _MESSAGE + model.__name__} for model in _of(name, FROM_CLIENT + FROM_SERVER)
        },
        "bindings": {"ws": {"method": "GET", "query": {"type": "object", "properties": {"token": token}}}},
    }


def _operations(channel: str) -> dict[str, Any]:
    """What the server does: it receives what clients send, and sends the rest."""
    made = {}
    for action, models in (("receive", FROM_CLIENT), ("send", FROM_SERVER)):
        made[f"{action}{channel.capitalize()}"] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{channel}"},
            "summary": f"{'Receive from' if action == 'receive' else 'Send to'} a client of {channel}",
            "messages": [{"$ref": f"#/channels/{channel}/messages/{model.__name__}"} for model in _of(channel, models)],
        }
    return made


def _of(channel: str, models: tuple[type[Message], ...]) -> list[type[Message]]:
    return [model for model in models if channel in model.channels]


def _message(model: type[Message]) -> dict[str, Any]:
    (kind,) = get_args(model.model_fields["type"].annotation)
    payload = {"$ref": _SCHEMA + model.__name__}
    return {"name": kind, "title": model.__name__, "summary": model.__doc__, "payload": payload}


def _clean(schema: dict[str, Any]) -> dict[str, Any]:
    fields = schema.get("properties", {})
    described = {
        name: {key: value for key, value in field.items() if key not in ("title", "default")}
        for name, field in fields.items()
    }
    return {**schema, "properties": described} if fields else schema
