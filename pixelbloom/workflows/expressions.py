"""JMESPath, bounded: what an expression may say, what it reads, and what it gives.

An expression comes from whoever writes a workflow, and its material from callers and models. So its length and its
nodes are bounded when it is kept, and its steps and the size of all that it makes are bounded when it runs: a text of
131 characters could make 58 MB otherwise.
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

from pixelbloom.errors import StepRejected
from pixelbloom.workflows.definition import MAX_LENGTH, ApprovalStep, MapStep, Step
from pixelbloom.workflows.storable import unstorable

MAX_NODES = 200
MAX_VISITS = 50_000
#: Of values made while the expressions of a template run, and of what they give: characters, and bytes of JSON.
MAX_MADE = 4 * 1024 * 1024
MAX_OUTPUT = 256 * 1024
MAX_DEPTH = 60


class ExpressionFault(Exception):
    """An expression that cannot be taken, or that did not give a value. The message says why."""


@lru_cache(maxsize=4096)
def parse(expression: str) -> Mapping[str, Any]:
    """The expression's tree. Raises ExpressionFault."""
    if len(expression) > MAX_LENGTH:
        raise ExpressionFault(f"has more than {MAX_LENGTH} characters; split the work over steps")
    try:
        tree: Mapping[str, Any] = jmespath.compile(expression).parsed
    except (JMESPathError, RecursionError, ValueError) as error:
        place = getattr(error, "lex_position", getattr(error, "position", None))
        at = f" at character {place + 1}" if isinstance(place, int) else ""
        raise ExpressionFault(f"is no JMESPath expression{at}") from None
    if sum(1 for _ in _walk(tree)) > MAX_NODES:
        raise ExpressionFault(f"has more than {MAX_NODES} parts; split the work over steps")
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
            raise ExpressionFault(f"calls {str(node['value'])[:50]}, which is no function of JMESPath")
        for fault in unstorable(node.get("value")):  # written as escapes: `"\\u0000"`
            raise ExpressionFault(f"holds a value that {fault.message}")


def names(expression: str) -> set[tuple[str, str | None]]:
    """The names that it reads from its surroundings, each with the name under it: ("outputs", "qualify").

    `@` stands for all of them at once. Names that are read of something else (`inputs.items[].name`) are not among
    them. Raises ExpressionFault.
    """
    return set(_reads(parse(expression)))


def _reads(node: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """What a node reads that is itself read against the surroundings."""
    kind, children = node["type"], node.get("children", [])
    match kind:
        case "field":
            yield node["value"], None
        case "current" | "identity":  # `*`, `[0]` and `[?x]` begin with an identity
            yield "@", None
        case "expref":  # read against each item of a list
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
    """The one name that all after the point is read of: `.a`, `.a[0]`, `.a[*].b`; None for `.[a, b]` and the like."""
    while node["type"] in ("index_expression", "projection", "value_projection", "filter_projection", "flatten"):
        node = node["children"][0]
    return node["value"] if node["type"] == "field" else None


def templates(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The expressions in a template, each with its place in it."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from templates(part, f"{path}.{key}")
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from templates(part, f"{path}.{index}")


def expressions(step: Step) -> Iterator[tuple[str, str]]:
    """Every expression of a step, with the field it stands in."""
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
    """The steps whose outcome its expressions read."""
    return frozenset(
        under
        for _, expression in expressions(step)
        for name, under in names(expression)
        if name in ("outputs", "steps") and under is not None
    )


class _Bounded(TreeInterpreter):
    """Counts what it visits and weighs what it makes and gives, over all expressions of one template."""

    def __init__(self) -> None:
        super().__init__()
        self._table = Functions()
        self._visits = 0
        self._made = 0
        self._given = 0

    def give(self, expression: str, context: Mapping[str, Any]) -> Any:
        """What the expression gives of the context. Raises ExpressionFault."""
        try:
            value = self.visit(parse(expression), context)
        except JMESPathError as error:
            raise ExpressionFault(f"cannot be evaluated: {type(error).__name__.removesuffix('Error')}") from None
        except (RecursionError, TypeError, ValueError, OverflowError, ArithmeticError, AttributeError, KeyError):
            raise ExpressionFault("cannot be evaluated on this input") from None
        if weight(value, MAX_OUTPUT) <= MAX_OUTPUT:
            if not _plain(value):
                raise ExpressionFault("gives a value that is no JSON")
            for fault in unstorable(value):
                raise ExpressionFault(f"gives a value that {fault.message}")
            self._given += len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
            if self._given <= MAX_OUTPUT:
                return value
        raise ExpressionFault(f"gives more than {MAX_OUTPUT // 1024} KiB, or does so with those before it")

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        self._count(1)
        value = super().visit(node, *args, **kwargs)
        if node["type"] in ("function_expression", "multi_select_list", "multi_select_dict", "flatten", "projection"):
            self._made += weight(value, MAX_MADE - self._made)
            if self._made > MAX_MADE:
                raise ExpressionFault("makes values that are too large")
        return value

    def visit_function_expression(self, node: Any, value: Any) -> Any:
        given = [self.visit(child, value) for child in node["children"]]
        self._count(sum(len(part) for part in given if isinstance(part, list)) // 10)  # functions look at each item
        return self._table.call_function(node["value"], given)

    def _count(self, visits: int) -> None:
        self._visits += visits
        if self._visits > MAX_VISITS:
            raise ExpressionFault("takes too many steps on this input")


def weight(value: Any, limit: int) -> int:
    """About how many bytes of JSON a value is; stops counting beyond the limit."""
    total, waiting = 0, [(value, 0)]
    while waiting and total <= limit:
        item, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise ExpressionFault("gives a value that is nested too deeply")
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
    """What it gives of the context. Raises ExpressionFault."""
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
    """JMESPath's truth: null, false, and empty texts, lists and objects are false; 0 is true."""
    return value is not None and value is not False and value != "" and value not in ([], {})


def render(template: Any, context: Mapping[str, Any], where: str) -> Any:
    """The template with its expressions evaluated, bounded together. Raises StepRejected, which names the place."""
    return _render(template, context, where, _Bounded())


def _render(template: Any, context: Mapping[str, Any], where: str, bounded: _Bounded) -> Any:
    if isinstance(template, str):
        try:
            return bounded.give(template, context)
        except ExpressionFault as fault:
            raise StepRejected(f"The expression in {where} {fault}.") from None
    if isinstance(template, dict):
        return {key: _render(part, context, f"{where}.{key}", bounded) for key, part in template.items()}
    if isinstance(template, list):
        return [_render(part, context, f"{where}.{index}", bounded) for index, part in enumerate(template)]
    return template
