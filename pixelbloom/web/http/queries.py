"""Undeclared query parameters are rejected and named in the error, like unknown fields of bodies."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from flask import Request

from pixelbloom.errors import FieldError, InvalidInput
from pixelbloom.web.http.openapi.document import documented_path

#: Maximum length and number of the names in an error.
MAX_NAME = 100
MAX_NAMES = 20


class DeclaredQueries:
    """The query parameters of each operation in the API document."""

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
        """Raise InvalidInput for parameters that the operation does not declare. Pages and sockets accept any."""
        if not request.query_string or request.url_rule is None:
            return
        method = "get" if request.method == "HEAD" else request.method.lower()
        declared = self._names.get((documented_path(request.url_rule.rule), method))
        if declared is None:
            return
        unknown = [name[:MAX_NAME] for name in request.args if name not in declared][:MAX_NAMES]
        if unknown:
            known = f"it accepts {', '.join(sorted(declared))}" if declared else "it accepts none"
            raise InvalidInput(
                f"This operation has no query parameter {unknown[0]}; {known}.",
                [FieldError(name, "is unknown") for name in unknown],
            )
