"""The OpenAPI document: valid, complete, matching the running API, and readable offline."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

from tests.integration.http import Api
from tests.integration.web.contract import PUBLIC, operations, responses
from tests.stack import Stack, started_stack
from tests.waiting import SECONDS

#: Requests that schemathesis makes of each operation and kind; `make fuzz` makes more.
EXAMPLES = int(os.environ.get("PIXELBLOOM_FUZZ_EXAMPLES", "2"))
ERROR = {"$ref": "#/components/schemas/ErrorBody"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack of its own: hundreds of odd requests must not mix with the rows of other tests."""
    with started_stack("pb-openapi-") as running:
        yield running


@pytest.fixture(scope="module")
def web(stack: Any) -> Iterator[Api]:
    handle = stack.start("web", env={"STRIPE_WEBHOOK_SECRET": "whsec_test"})
    yield Api(handle.url, None, stack.settings)
    handle.kill()


@pytest.fixture(scope="module")
def agents(stack: Any) -> Iterator[Any]:
    handle = stack.start("agents")
    yield handle
    handle.stop()


@pytest.fixture(scope="module")
def document(web: Api) -> dict[str, Any]:
    response = web.get("/api/openapi.json")
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


def test_every_route_of_the_api_is_described(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert {name for name, _ in operations(document)} >= {
        "POST /api/agents/invoke",
        "GET /api/agents",
        "GET /api/agents/{agent_type}",
        "GET /api/agents/runs",
        "GET /api/agents/runs/{request_id}",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
    }


def test_every_response_has_a_schema_and_a_valid_example(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        assert operation["summary"], name
        assert operation["description"], name
        for status, response in responses(document, operation):
            if status == "204":
                assert "content" not in response
                continue
            if status == "200" and (name == "GET /metrics" or (name.endswith("/events") and "/runs/" in name)):
                continue  # text for Prometheus, and event streams
            content = response["content"]["application/json"]
            schema = {**content["schema"], "components": document["components"]}
            validator = jsonschema_rs.Draft202012Validator(schema)
            assert validator.is_valid(content["example"]), (name, status)
            if int(status) >= 400 and name != "GET /readyz":
                assert content["schema"] == ERROR


def test_every_operation_declares_400(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        assert "400" in operation["responses"], name
        takes_input = "requestBody" in operation or any(
            part["in"] == "query" for part in operation.get("parameters", ())
        )
        description = dict(responses(document, operation))["400"]["description"]
        assert ("details" in description) == takes_input, name


def test_the_document_names_its_server(document: dict[str, Any]) -> None:
    assert [server["url"] for server in document["servers"]] == ["/"]


def test_operations_that_need_a_token_declare_it(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        if name in PUBLIC:
            assert operation.get("security", []) in ([], [{}, {"bearer": []}])
        elif " /api/" in name:
            assert operation["security"] == [{"bearer": []}]
            assert {"401", "500"} <= set(operation["responses"])


def test_the_request_of_invoke_names_each_agent_with_a_valid_example(document: dict[str, Any]) -> None:
    invoke = document["paths"]["/api/agents/invoke"]["post"]
    body = invoke["requestBody"]["content"]["application/json"]
    schema = {**body["schema"], "components": document["components"]}
    validator = jsonschema_rs.Draft202012Validator(schema)

    assert validator.is_valid(body["example"])
    assert not validator.is_valid({"agent_type": "nobody", "input": {}})
    assert len(document["components"]["schemas"]["InvokeRequest"]["oneOf"]) == 9


def test_every_reference_resolves(document: dict[str, Any]) -> None:
    names = set(re.findall(r"'#/components/schemas/([^']+)'", repr(document)))

    assert names <= set(document["components"]["schemas"])


def test_the_docs_page_calls_no_other_server(web: Api) -> None:
    page = web.get("/api/docs")

    assert page.status_code == 200
    assert not re.search(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]", page.text)
    assert "connect-src 'self'" in page.headers["Content-Security-Policy"]
    policy = page.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    [nonce] = set(re.findall(r"'nonce-([\w-]{22})'", policy))
    assert page.text.count(f'nonce="{nonce}"') == page.text.count("<script") + page.text.count("<style") == 4
    assert nonce not in web.get("/api/docs").text
    parts = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(parts) >= 3
    for part in parts:
        found = httpx.get(
            httpx.URL(f"{web.url}/api/docs").join(part), trust_env=False, follow_redirects=False, timeout=SECONDS
        )
        assert found.status_code == 200, part
        assert len(found.content) > 100


#: Valid inputs of these depend on more than JSON Schema can express: the inputs of the named workflow, references
#: between steps, cron expressions, time zones, how two dates lie, the decimals of a currency, and what Stripe knows.
#: All other checks apply to them too.
BEYOND_SCHEMA = (
    'include-operation-id = ["createWorkflowVersion", "createSchedule", "executeWorkflow"]',
    'include-operation-id = ["createPackage", "updatePackage", "createCampaign", "updateCampaign"]',
    'include-path-regex = "^/api/(analytics|payments)/"',
)
#: Schemathesis makes If-Match values that its pattern refuses; tests/unit/web/http/test_versions.py tests that header.
#: Postgres stores no NUL, which the schema of free JSON does not say.
CONFIGURATION = "[parameters]\n'header.If-Match' = '*'\n[generation]\nallow-x00 = false\n\n" + "\n".join(
    f"[[operations]]\n{which}\nchecks.positive_data_acceptance.enabled = false\n" for which in BEYOND_SCHEMA
)
#: An event stream lasts as long as its run; tests/integration/web/runs/test_events.py tests them.
CONFIGURATION += '[[operations]]\ninclude-path-regex = "/runs/.*/events$"\nenabled = false\n'
#: A removed one exists again when its example was added in between; tests/integration/workflows/test_definitions.py
#: tests removal.
CONFIGURATION += (
    '[[operations]]\ninclude-path-regex = "^/api/agents/workflows/"\nchecks.use_after_free.enabled = false\n'
)


@pytest.mark.timeout(60 * (10 + EXAMPLES))
@pytest.mark.parametrize("who", [pytest.param("user", marks=pytest.mark.slow), "service"])
def test_schemathesis_finds_nothing(web: Api, agents: Any, stack: Stack, tmp_path: Path, who: str) -> None:
    caller = web.as_user() if who == "user" else web.as_service()
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"{web.url}/api/openapi.json",
        f"--header=Authorization: Bearer {caller.token}",
        f"--max-examples={EXAMPLES}",
        "--generation-deterministic",
        "--no-color",
    ]

    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    said = "".join(f"\n--- {name}\n{stack.output.tail(name)}" for name in ("postgres", "postgrest", "web-1"))
    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:] + said
