"""Every header that the code of an operation reads is declared in the API document, and no other one."""

import ast
import inspect
import sys
import textwrap
from functools import cache
from typing import Any

import pytest

from pixelbloom.web.app import described
from pixelbloom.web.http import openapi
from pixelbloom.web.http.openapi.document import Operation, operations

APP = described()
DOCUMENT: dict[str, Any] = APP.api_doc
OPERATIONS = [operation for operation in operations(APP) if operation.path in DOCUMENT["paths"]]
#: The security scheme has the first, and OpenAPI ignores a declaration of the second.
UNDECLARED = {"Authorization", "Accept"}


def _value(node: ast.expr, scope: dict[str, Any]) -> Any:
    """What a constant, a name or `module.name` stands for; None where that is not known before it runs."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return scope.get(node.id)
    if isinstance(node, ast.Attribute) and inspect.ismodule(module := _value(node.value, scope)):
        return getattr(module, node.attr, None)
    return None


def _name_of_header(node: ast.AST) -> ast.expr | None:
    """The name in `request.headers.get(name)` and `request.headers[name]`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        whole, name = node.func.value, node.args[0] if node.args else None
    elif isinstance(node, ast.Subscript):
        whole, name = node.value, node.slice
    else:
        return None
    return name if ast.unparse(whole) == "request.headers" else None


@cache
def _parts(function: Any) -> tuple[frozenset[str], frozenset[Any]]:
    """The headers that a function reads itself, and the functions of the web tier that it names."""
    scope = vars(sys.modules[function.__module__])
    headers, functions = set(), set()
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        if (name := _name_of_header(node)) is not None:
            header = _value(name, scope)
            assert isinstance(header, str), f"{function.__qualname__}: the name of a header must be a constant"
            headers.add(header)
        elif isinstance(node, ast.Name | ast.Attribute):
            named = _value(node, scope)
            if inspect.isfunction(named) and named.__module__.startswith("pixelbloom.web."):
                functions.add(inspect.unwrap(named))
    return frozenset(headers), frozenset(functions)


def read_by(function: Any) -> set[str]:
    """The headers that are read by a function and by those that it leads to."""
    found: set[str] = set()
    seen = {function}
    waiting = [function]
    while waiting:
        headers, functions = _parts(waiting.pop())
        found |= headers
        waiting += functions - seen
        seen |= functions
    return found


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_each_operation_declares_the_headers_it_reads(operation: Operation) -> None:
    parameters = DOCUMENT["paths"][operation.path][operation.method]["parameters"]
    declared = {parameter["name"] for parameter in parameters if parameter["in"] == "header"}

    assert declared == read_by(operation.view) - UNDECLARED


def test_it_finds_headers_read_directly_by_a_constant_and_in_another_module() -> None:
    found = {operation.name: read_by(operation.view) for operation in OPERATIONS}

    assert found["POST /api/agents/invoke"] == {"Prefer", "Idempotency-Key"}
    assert found["PATCH /api/leads/{lead_id}"] == {"If-Match"}
    assert found["POST /api/payments/webhook"] == {"Stripe-Signature"}
    assert openapi.IF_MATCH["name"] == "If-Match"
