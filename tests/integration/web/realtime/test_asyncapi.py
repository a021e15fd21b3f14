"""The AsyncAPI document of the sockets is valid by the standard."""

import json
from pathlib import Path
from typing import Any

from pixelbloom.web.realtime.asyncapi import asyncapi
from tests import frontend

DOCUMENT: dict[str, Any] = json.loads(json.dumps(asyncapi()))


def test_the_parser_of_asyncapi_finds_no_errors(tmp_path: Path) -> None:
    (tmp_path / "asyncapi.json").write_text(json.dumps(DOCUMENT))

    found = frontend.run("asyncapi.mjs", {"DOCUMENT": str(tmp_path / "asyncapi.json")})

    assert found["faults"] == []
    assert sorted(found["operations"]) == sorted(DOCUMENT["operations"])
