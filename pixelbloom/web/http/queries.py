"""Query parameters that an operation does not declare are refused and named, as unknown fields of bodies are."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from flask import Request

from pixelbloom.errors import FieldError, InvalidInput
from pixelbloom.web.http.openapi.document import documented_path

#: Longest name that an error repeats, and the number of names.
MAX_NAME = 100
MAX_NAMES = 20


class DeclaredQueries:
    """What the API document says of each operation's query."""

    def __init__(self, app: Any) -> None:
        self._app = app

    @cached_property
    def _names(self) -> Mapping[tuple[str, str], tuple[str, ...]]:
        """By path and method."""
        return {
            (path, method): tuple(part["name"] for part in operation.get("parameters", ()) if part["in"] == "query")
            for path, item in self._app.api_doc["paths"].items()
            for method, operation in item.items()
        }

    def check(self, request: Request) -> None:
        """Raise InvalidInput for parameters that the operation does not declare. Pages and sockets take any."""
        if not request.query_string or request.url_rule is None:
            return
        method = "get" if request.method == "HEAD" else request.method.lower()
        declared = self._names.get((documented_path(request.url_rule.rule), method))
        if declared is None:
            return
        unknown = [name[:MAX_NAME] for name in request.args if name not in declared][:MAX_NAMES]
        if unknown:
            known = f"it takes {', '.join(sorted(declared))}" if declared else "it takes none"
            raise InvalidInput(
                f"This operation has no query parameter {unknown[0]}; {known}.",
                [FieldError(name, "is unknown") for name in unknown],
            )
