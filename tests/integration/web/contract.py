"""What the OpenAPI document and the access rule say of every operation."""

from typing import Any

#: Operations that need no token.
PUBLIC = {
    "POST /api/visitors/sessions",
    "GET /api/pricing/packages",
    "POST /api/pricing/quote",
    "POST /api/payments/webhook",
    "POST /api/payments/create-checkout-session",
}


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def responses(document: dict[str, Any], operation: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """An operation's responses by status, shared ones in full."""
    shared = document["components"]["responses"]
    return [
        (status, shared[response["$ref"].rpartition("/")[2]] if "$ref" in response else response)
        for status, response in operation["responses"].items()
    ]


def check_shape(value: Any, where: str) -> None:
    """Times end in Z, `progress` has at most four decimals, `steps` are an ordered list of objects with a key."""
    if isinstance(value, list):
        for part in value:
            check_shape(part, where)
    elif isinstance(value, dict):
        for name, part in value.items():
            if name.endswith("_at") and part is not None:
                assert part.endswith("Z"), (where, name, part)
            elif name == "progress":
                assert part == round(part, 4), (where, part)
            elif name == "steps":
                assert all(step["key"] and step["status"] for step in part), (where, part)
            check_shape(part, f"{where}.{name}")
