"""CORS: preflights and response headers for a front end on another origin. Origins are listed explicitly, never `*`."""

from flask import Flask, Response, request

from pixelbloom.auth.origins import allows
from pixelbloom.config import Settings

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
REQUEST_HEADERS = ", ".join(
    (
        # What the API reads.
        *("Accept", "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "Last-Event-ID", "Prefer"),
        "X-Request-ID",
        # What tracing, error reporting, supabase-js and clients of event streams add to a request.
        *("traceparent", "tracestate", "baggage", "sentry-trace", "apikey", "x-client-info", "Cache-Control"),
    )
)
#: Every response header that the API document declares.
EXPOSED = "ETag, Preference-Applied, Retry-After, WWW-Authenticate, X-Request-ID"
#: Seconds for which a browser may remember a preflight.
MAX_AGE = "600"


def register(app: Flask, settings: Settings) -> None:
    """Respond to preflights before authentication, and add the headers to other responses."""

    def preflight() -> Response | None:
        is_preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if not is_preflight or "Origin" not in request.headers:
            return None
        response = Response(status=204)
        if allows(settings, request.headers["Origin"]):
            response.headers["Access-Control-Allow-Methods"] = METHODS
            response.headers["Access-Control-Allow-Headers"] = REQUEST_HEADERS
            response.headers["Access-Control-Max-Age"] = MAX_AGE
        return response

    def mark(response: Response) -> Response:
        response.vary.add("Origin")
        origin = request.headers.get("Origin")
        if origin is not None and allows(settings, origin):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = EXPOSED
        return response

    app.before_request(preflight)
    app.after_request(mark)
