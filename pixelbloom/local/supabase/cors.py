"""CORS as hosted Supabase has it: any origin, no credentials."""

ALLOW_ORIGIN = ("Access-Control-Allow-Origin", "*")
METHODS = "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS"
#: Where a preflight names none; supabase-js sends these.
HEADERS = (
    "authorization,apikey,content-type,x-client-info,x-supabase-api-version,"
    "prefer,range,range-unit,accept-profile,content-profile"
)
MAX_AGE_SECONDS = 3600


def preflight(requested: str | None) -> list[tuple[str, str]]:
    """The headers of the response to a preflight that asks for the headers `requested`."""
    return [
        ALLOW_ORIGIN,
        ("Access-Control-Allow-Methods", METHODS),
        ("Access-Control-Allow-Headers", requested or HEADERS),
        ("Access-Control-Max-Age", str(MAX_AGE_SECONDS)),
        ("Vary", "Access-Control-Request-Headers"),
        ("Content-Length", "0"),
    ]
