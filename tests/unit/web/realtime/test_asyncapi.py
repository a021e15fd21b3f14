"""The AsyncAPI document of the sockets: the same as what the code reads and sends."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

import pixelbloom
from pixelbloom.events import domain
from pixelbloom.web.realtime import protocol
from pixelbloom.web.realtime.asyncapi import asyncapi

DOCUMENT: dict[str, Any] = json.loads(json.dumps(asyncapi()))
PACKAGE = Path(pixelbloom.__file__).parent
SOURCES = [
    path for path in (*PACKAGE.glob("web/realtime/*.py"), *PACKAGE.glob("events/*.py")) if path.name != "asyncapi.py"
]
#: Frames that the server reads, each with a value that is out of bounds.
READ = {
    "subscribe": ({"topic": "kpis", "params": {}, "since": 0, "epoch": "k3f9"}, {"topic": ""}),
    "unsubscribe": ({"topic": "kpis"}, {"topic": "x" * 201}),
    "ping": ({}, None),
    "heartbeat": ({"timestamp": "2026-01-31T12:00:00Z"}, None),
    "auth": ({"token": "a.b.c"}, {"token": ""}),
}


def messages(action: str) -> dict[str, list[str]]:
    """The names of messages by the type of their frames."""
    found: dict[str, list[str]] = {}
    for operation in DOCUMENT["operations"].values():
        if operation["action"] == action:
            for reference in operation["messages"]:
                name = reference["$ref"].rpartition("/")[2]
                kind = DOCUMENT["components"]["messages"][name]["name"]
                found.setdefault(kind, [])
                found[kind] += [] if name in found[kind] else [name]
    return found


def validator(name: str) -> Any:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    return jsonschema_rs.Draft202012Validator(schema)


def test_it_has_every_type_of_frame_that_the_code_reads() -> None:
    tree = ast.parse(Path(protocol.__file__).read_text())
    cases = [case.pattern for node in ast.walk(tree) if isinstance(node, ast.Match) for case in node.cases]
    read = {
        case.value.value for case in cases if isinstance(case, ast.MatchValue) and isinstance(case.value, ast.Constant)
    }

    assert read == set(messages("receive")) == set(READ)


def test_it_has_every_type_of_frame_that_the_code_sends() -> None:
    written: set[str] = set()
    for source in SOURCES:
        text = source.read_text()
        written |= set(re.findall(r'\{+"type":"(\w+)"', text))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Dict):
                pairs = zip(node.keys, node.values, strict=True)
                written |= {
                    value.value
                    for key, value in pairs
                    if isinstance(key, ast.Constant)
                    and key.value == "type"
                    and isinstance(value, ast.Constant)
                    and isinstance(value.value, str)
                }
    published = {kind for kind, event in domain.TYPES.items() if event is not domain.DataChanged}

    assert {"event", "workflow_status_update", "subscribed", "pong", "error"} <= written
    assert written | published == set(messages("send"))


def test_it_has_every_code_of_an_error() -> None:
    codes = {code for source in SOURCES for code in re.findall(r'error_frame\(\s*"([A-Z_]+)"', source.read_text())}
    described = DOCUMENT["components"]["schemas"]["Error"]["properties"]["code"]["enum"]

    assert codes <= set(described)
    assert validator("Error").is_valid(protocol.error_frame("INVALID_TOPIC", "Topic not found."))


@pytest.mark.parametrize("kind", READ)
def test_a_frame_is_accepted_if_and_only_if_its_schema_accepts_it(kind: str) -> None:
    good, bad = READ[kind]
    [name] = messages("receive")[kind]
    assert validator(name).is_valid({"type": kind, **good})
    protocol.parse(json.dumps({"type": kind, **good}))
    if bad is not None:
        assert not validator(name).is_valid({"type": kind, **good, **bad})
        with pytest.raises(protocol.BadFrame):
            protocol.parse(json.dumps({"type": kind, **good, **bad}))
