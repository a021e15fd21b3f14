"""Bounded JMESPath: parses expressions, finds what they read, and evaluates them.

Expressions come from workflow authors, their data from callers and models. So length and nodes are bounded when an
expression is stored, and steps and the size of all values when it runs: otherwise an expression of 131 characters could
produce 58 MB.
"""

import json
import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from jmespath.visitor import TreeInterpreter

from pixelbloom.core.text import unstorable
from pixelbloom.errors import StepRejected
from pixelbloom.workflows.definition import MAX_LENGTH, ApprovalStep, MapStep, Step

MAX_NODES = 200
MAX_VISITS = 50_000
#: Limits of all intermediate values of a template's expressions, in characters, and of their results, in bytes of JSON.
MAX_MADE = 4 * 1024 * 1024
MAX_OUTPUT = 256 * 1024
MAX_DEPTH = 60


class ExpressionError(Exception):
    """An expression is invalid or failed to evaluate. The message, without a subject, says why."""


@lru_cache(maxsize=4096)
def parse(expression: str) -> Mapping[str, Any]:
    """Return the expression's tree. Raises ExpressionError."""
    if len(expression) > MAX_LENGTH:
        raise ExpressionError(f"has more than {MAX_LENGTH} characters; split the work over steps")
    try:
        tree: Mapping[str, Any] = jmespath.compile(expression).parsed
    except (JMESPathError, RecursionError, ValueError) as error:
        place = getattr(error, "lex_position", getattr(error, "position", None))
        at = f" at character {place + 1}" if isinstance(place, int) else ""
        raise ExpressionError(f"is not a JMESPath expression{at}") from None
    if sum(1 for _ in _walk(tree)) > MAX_NODES:
        raise ExpressionError(f"has more than {MAX_NODES} parts; split the work over steps")
    _check_nodes(tree)
    return tree


def _walk(tree: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(child for child in node.get("children", ()) if isinstance(child, dict))


def _check_nodes(tree: Mapping[str, Any]) -> None:
    for node in _walk(tree):
        if node["type"] == "function_expression" and node["value"] not in Functions.FUNCTION_TABLE:
            raise ExpressionError(f"calls {str(node['value'])[:50]}, which is not a JMESPath function")
        for error in unstorable(node.get("value")):  # written as escapes: `"\\u0000"`
            raise ExpressionError(f"contains a value that {error.message}")


def names(expression: str) -> set[tuple[str, str | None]]:
    """Return the names that it reads from the context, each with the name below it: ("outputs", "qualify").

    `@` means the whole context. Names that are read from other values (`inputs.items[].name`) are not included.
    Raises ExpressionError.
    """
    return set(_reads(parse(expression)))


def _reads(node: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Yield what a node, itself evaluated against the context, reads."""
    kind, children = node["type"], node.get("children", [])
    match kind:
        case "field":
            yield node["value"], None
        case "current" | "identity":  # `*`, `[0]` and `[?x]` start with an identity
            yield "@", None
        case "expref":  # evaluated against each item of a list
            return
        case "subexpression" if children[0]["type"] == "field":
            yield children[0]["value"], _begins_with(children[1])
        case "subexpression" | "index_expression" | "pipe" | "projection" | "value_projection" | "filter_projection":
            yield from _reads(children[0])
        case _:
            for child in children:
                if isinstance(child, dict):
                    yield from _reads(child)


def _begins_with(node: Mapping[str, Any]) -> str | None:
    """Return the first name after the point: `.a`, `.a[0]`, `.a[*].b`; None for `.[a, b]` and the like."""
    while node["type"] in ("index_expression", "projection", "value_projection", "filter_projection", "flatten"):
        node = node["children"][0]
    return node["value"] if node["type"] == "field" else None


def templates(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the expressions in a template, each with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from templates(part, f"{path}.{key}")
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from templates(part, f"{path}.{index}")


def expressions(step: Step) -> Iterator[tuple[str, str]]:
    """Yield every expression of a step, with its field."""
    if step.when is not None:
        yield "when", step.when
    if isinstance(step, ApprovalStep):
        yield "message", step.message
        return
    if isinstance(step, MapStep):
        yield "over", step.over
    for path, expression in templates(step.input):
        yield f"input{path}", expression


def uses(step: Step) -> frozenset[str]:
    """Return the steps whose outcome the step's expressions read."""
    return frozenset(
        under
        for _, expression in expressions(step)
        for name, under in names(expression)
        if name in ("outputs", "steps") and under is not None
    )


class _Bounded(TreeInterpreter):
    """Limits visits and the size of values, over all expressions of one template."""

    def __init__(self) -> None:
        super().__init__()
        self._table = Functions()
        self._visits = 0
        self._made = 0
        self._given = 0

    def give(self, expression: str, context: Mapping[str, Any]) -> Any:
        """Evaluate the expression on the context. Raises ExpressionError."""
        try:
            value = self.visit(parse(expression), context)
        except JMESPathError as error:
            raise ExpressionError(f"cannot be evaluated: {type(error).__name__.removesuffix('Error')}") from None
        except (RecursionError, TypeError, ValueError, OverflowError, ArithmeticError, AttributeError, KeyError):
            raise ExpressionError("cannot be evaluated on this input") from None
        if weight(value, MAX_OUTPUT) <= MAX_OUTPUT:
            if not _plain(value):
                raise ExpressionError("returns a value that is not JSON")
            for part in unstorable(value):
                raise ExpressionError(f"returns a value that {part.message}")
            self._given += len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
            if self._given <= MAX_OUTPUT:
                return value
        raise ExpressionError(f"returns more than {MAX_OUTPUT // 1024} KiB, alone or together with those before it")

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        self._count(1)
        value = super().visit(node, *args, **kwargs)
        if node["type"] in ("function_expression", "multi_select_list", "multi_select_dict", "flatten", "projection"):
            self._made += weight(value, MAX_MADE - self._made)
            if self._made > MAX_MADE:
                raise ExpressionError("produces values that are too large")
        return value

    def visit_function_expression(self, node: Any, value: Any) -> Any:
        given = [self.visit(child, value) for child in node["children"]]
        self._count(sum(len(part) for part in given if isinstance(part, list)) // 10)  # functions read each item
        return self._table.call_function(node["value"], given)

    def _count(self, visits: int) -> None:
        self._visits += visits
        if self._visits > MAX_VISITS:
            raise ExpressionError("takes too many steps on this input")


def weight(value: Any, limit: int) -> int:
    """Estimate the bytes of a value as JSON; stop counting beyond the limit."""
    total, waiting = 0, [(value, 0)]
    while waiting and total <= limit:
        item, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise ExpressionError("returns a value that is nested too deeply")
        if isinstance(item, str):
            total += len(item) + 2
        elif isinstance(item, dict):
            total += 2 + sum(len(str(key)) + 4 for key in item)
            waiting.extend((part, depth + 1) for part in item.values())
        elif isinstance(item, list):
            total += 2 + len(item)
            waiting.extend((part, depth + 1) for part in item)
        else:
            total += 8
    return total


def evaluate(expression: str, context: Mapping[str, Any]) -> Any:
    """Evaluate the expression on the context. Raises ExpressionError."""
    return _Bounded().give(expression, context)


def _plain(value: Any) -> bool:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, float):
            if not math.isfinite(item):
                return False
        elif item is not None and not isinstance(item, str | int | bool):
            return False
    return True


def holds(value: Any) -> bool:
    """Return JMESPath's truth: null, false, and empty strings, lists and objects are false; 0 is true."""
    return value is not None and value is not False and value != "" and value not in ([], {})


def render(template: Any, context: Mapping[str, Any], where: str) -> Any:
    """Evaluate the template's expressions, bounded together. Raises StepRejected, which names the path."""
    return _render(template, context, where, _Bounded())


def _render(template: Any, context: Mapping[str, Any], where: str, bounded: _Bounded) -> Any:
    if isinstance(template, str):
        try:
            return bounded.give(template, context)
        except ExpressionError as error:
            raise StepRejected(f"The expression in {where} {error}.") from None
    if isinstance(template, dict):
        return {key: _render(part, context, f"{where}.{key}", bounded) for key, part in template.items()}
    if isinstance(template, list):
        return [_render(part, context, f"{where}.{index}", bounded) for index, part in enumerate(template)]
    return template
