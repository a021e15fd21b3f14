"""The page about workflows shows what works."""

import json
import re

from pixelbloom.workflows.builtin import builtin
from pixelbloom.workflows.inputs import check_inputs
from pixelbloom.workflows.reading import read_definition
from tests import ROOT

PAGE = (ROOT / "docs" / "workflows.md").read_text("utf-8")


def test_the_definitions_on_the_page_are_valid() -> None:
    blocks = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert blocks
    for block in blocks:
        check_inputs(read_definition(json.loads(block)), {"message": "A website."})


def test_the_longest_version_that_fits_is_found_as_the_page_says() -> None:
    [expression] = re.findall(r"^    (\{a: .*)$", PAGE, re.MULTILINE)
    chat = {"agent": "chat_agent", "input": {"message": "'m'"}}
    step = {
        "key": "c",
        "needs": ["one", "two"],
        "agent": "content_agent",
        "input": {"topic": "'t'", "brief": expression},
    }
    read_definition({"workflow_id": "test", "steps": [{"key": "one", **chat}, {"key": "two", **chat}, step]})


def test_the_built_in_workflows_are_all_on_the_page() -> None:
    for definition in builtin():
        assert f"| `{definition.workflow_id}` |" in PAGE
