"""The REST API over requests."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self
from urllib.parse import quote, urlsplit
from uuid import UUID

import requests
from requests.auth import AuthBase

from pixelbloom.client.errors import ApiError
from pixelbloom.client.token import Token, read
from pixelbloom.core.addresses import is_loopback
from pixelbloom.errors import ConfigurationError, FieldError, Unavailable

#: Seconds to connect, and seconds without a byte of the response.
CONNECT_TIMEOUT, READ_TIMEOUT = 5.0, 30.0


class _Bearer(AuthBase):
    """As `auth`, so that a ~/.netrc cannot put other credentials in the place of the token."""

    def __init__(self, token: Token) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {read(self._token)}"
        return request


class ApiClient:
    """Requests to one API in the name of one caller.

    Every method raises ApiError where the API returns an error, and Unavailable where it cannot be
    reached. Not to be shared between threads, as requests' sessions are not.
    """

    def __init__(self, base_url: str, token: Token) -> None:
        self.base_url = check_base_url(base_url)
        self.token = token
        self._session = requests.Session()
        self._session.auth = _Bearer(token)
        # Proxies of the environment are for other machines; an empty one is none, whatever the environment says.
        self._proxies = {"http": "", "https": ""} if is_loopback(urlsplit(self.base_url).hostname) else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the open connections."""
        self._session.close()

    def invoke(
        self,
        agent_type: str,
        input: Mapping[str, Any],
        *,
        user_id: UUID | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        wait: int | None = None,
    ) -> dict[str, Any]:
        """Submit an agent run. Returns `request_id`, `status`, `result`, `error`.

        `wait` (1 to 60 s) delays the response until the run ends or the time passes. The same `idempotency_key`,
        input and caller give the same run, so that a request may be sent again after Unavailable.
        """
        body: dict[str, Any] = {"agent_type": agent_type, "input": dict(input)}
        if user_id is not None:
            body["user_id"] = str(user_id)
        if metadata is not None:
            body["metadata"] = dict(metadata)
        headers = {}
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        if wait is not None:
            headers["Prefer"] = f"wait={wait}"
        return self._call("POST", "/api/agents/invoke", json=body, headers=headers, extra_seconds=wait or 0)

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """Get any resource by its path. Parameters that are None are omitted."""
        return self._call("GET", path, params={k: v for k, v in params.items() if v is not None})

    def each(self, path: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Iterate over every item of a list, page after page."""
        cursor = None
        while True:
            page = self.get(path, **{"limit": 200, **params, "cursor": cursor})
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create a resource, or act on one."""
        return self._call("POST", path, json=dict(body))

    def patch(self, path: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change fields of a resource."""
        return self._call("PATCH", path, json=dict(changes))

    def run(self, request_id: UUID) -> dict[str, Any]:
        """Get one run with its steps."""
        return self._call("GET", f"/api/agents/runs/{request_id}")

    def runs(self, *, limit: int | None = None, cursor: str | None = None, **filters: str | None) -> dict[str, Any]:
        """Get one page of runs, newest first: `items` and `next_cursor`.

        Filters: `status`, `agent_type`, `created_after`, `created_before` (ISO 8601). Large fields are there only where
        `fields` names them, separated by commas: `input`, `result`, `steps.output`.
        """
        return self.get("/api/agents/runs", limit=limit, cursor=cursor, **filters)

    def each_run(self, **filters: str | None) -> Iterator[dict[str, Any]]:
        """Iterate over every run that matches, newest first, page after page."""
        return self.each("/api/agents/runs", **filters)

    def workflows(self, *, limit: int = 200, cursor: str | None = None) -> dict[str, Any]:
        """List the workflows: one page of `items`, by name, and `next_cursor`."""
        return self.get("/api/agents/workflows", limit=limit, cursor=cursor)

    def workflow(self, workflow_id: str, *, limit: int = 50, cursor: str | None = None) -> dict[str, Any]:
        """Get a workflow's newest version, with a page of its `versions`; `versions_cursor` leads to earlier ones."""
        return self.get(f"/api/agents/workflows/{quote(workflow_id, safe='')}", limit=limit, cursor=cursor)

    def execute(
        self,
        workflow_id: str,
        inputs: Mapping[str, Any],
        *,
        user_id: UUID | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Submit a run of a workflow, `name` or `name@version`. Returns `workflow_run_id` and `status` at once."""
        body: dict[str, Any] = {"workflow_id": workflow_id, "inputs": dict(inputs), "async": True}
        if user_id is not None:
            body["user_id"] = str(user_id)
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        return self._call("POST", "/api/agents/workflows/execute", json=body, headers=headers)

    def workflow_run(self, workflow_run_id: UUID) -> dict[str, Any]:
        """Get one run of a workflow with its steps."""
        return self._call("GET", f"/api/agents/workflows/runs/{workflow_run_id}")

    def workflow_runs(
        self, *, limit: int | None = None, cursor: str | None = None, **filters: str | None
    ) -> dict[str, Any]:
        """Get one page of runs of workflows, newest first. Filters: `status`, `workflow_id`, `created_after` ...

        Large fields are there only where `fields` names them, separated by commas: `inputs`, `outputs`, `steps.output`.
        """
        params = {"limit": limit, "cursor": cursor, **filters}
        found = {k: v for k, v in params.items() if v is not None}
        return self._call("GET", "/api/agents/workflows/runs", params=found)

    def act(
        self, run_id: UUID, action: Literal["cancel", "retry", "replay"], *, workflow: bool = False
    ) -> dict[str, Any]:
        """Cancel, retry or replay a run of an agent, or of a workflow."""
        where = "workflows/runs" if workflow else "runs"
        return self._call("POST", f"/api/agents/{where}/{run_id}/{action}")

    def decide(self, workflow_run_id: UUID, key: str, *, approved: bool, comment: str = "") -> dict[str, Any]:
        """Approve or reject a step that waits for a decision."""
        action = "approve" if approved else "reject"
        path = f"/api/agents/workflows/runs/{workflow_run_id}/steps/{quote(key, safe='')}/{action}"
        return self._call("POST", path, json={"comment": comment})

    def agents(self) -> dict[str, Any]:
        """List the agents."""
        return self._call("GET", "/api/agents")

    def agent(self, agent_type: str) -> dict[str, Any]:
        """Get one agent with the JSON Schemas of its input and output."""
        return self._call("GET", f"/api/agents/{quote(agent_type, safe='')}")

    def _call(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        extra_seconds: float = 0,
    ) -> dict[str, Any]:
        try:
            response = self._session.request(
                method,
                self.base_url + path,
                json=json,
                params=params,
                headers=headers,
                timeout=(CONNECT_TIMEOUT, READ_TIMEOUT + extra_seconds),
                proxies=self._proxies,
                allow_redirects=False,
            )
        except requests.exceptions.InvalidJSONError as error:
            raise ConfigurationError("The input has a number that JSON cannot carry (NaN or Infinity).") from error
        except requests.Timeout as error:
            raise Unavailable(f"The API at {self.base_url} timed out; try again.") from error
        except requests.RequestException as error:
            raise Unavailable(
                f"The API at {self.base_url} is unreachable; is it running? (`make run` starts the local stack)"
            ) from error
        body = _json_object(response)
        if response.ok and not response.is_redirect and body is not None:
            return body
        raise _error(response, body, self.base_url)


def check_base_url(base_url: str) -> str:
    """Return the API's address without a trailing slash. Raises ConfigurationError if it is invalid."""
    try:
        parts = urlsplit(base_url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query
        fits = fits and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise ConfigurationError(f"{base_url!r} is not the address of an API; write it as http://localhost:8000")
    return base_url.rstrip("/")


def _json_object(response: requests.Response) -> dict[str, Any] | None:
    try:
        body = response.json()
    except requests.exceptions.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def _error(response: requests.Response, body: dict[str, Any] | None, base_url: str) -> ApiError:
    status = response.status_code
    request_id = response.headers.get("X-Request-ID")
    if body is None or not isinstance(body.get("error"), str):
        where = f" (it points to {response.headers['Location']})" if response.is_redirect else ""
        return ApiError(
            f"{base_url} returned {status} and is not the PixelBloom API{where}; check the address.",
            status=status,
            code="UPSTREAM_ERROR",
            request_id=request_id,
        )
    listed = body.get("details")
    details = [
        FieldError(str(item.get("field", "")), str(item.get("message", "")))
        for item in (listed if isinstance(listed, list) else [])
        if isinstance(item, dict)
    ]
    return ApiError(
        body["error"],
        status=status,
        code=str(body.get("code", "INTERNAL")),
        details=details,
        request_id=request_id,
        retry_after=_seconds(response.headers.get("Retry-After")),
    )


def _seconds(header: str | None) -> float | None:
    return float(header) if header is not None and header.isdecimal() else None
