"""`/api/pricing`: packages for sale and their prices. Needs no token."""

from collections.abc import Callable
from typing import Any

from flask import Response, g, jsonify
from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.database.pagination import Rows
from pixelbloom.errors import NotFound
from pixelbloom.payments.campaigns import REFUSAL_REASONS
from pixelbloom.web.container import services
from pixelbloom.web.http import counting
from pixelbloom.web.http.caller import authenticate_if_named
from pixelbloom.web.http.openapi import OPTIONAL_SECURITY, failures, success
from pixelbloom.web.http.pair_cursors import read_position_cursor, write_position_cursor
from pixelbloom.web.pricing import schemas as pricing_schemas
from pixelbloom.web.pricing.schemas import PackageList, PackagesQuery, QuoteBody, QuoteRequest

pricing = APIBlueprint(
    "pricing",
    __name__,
    url_prefix="/api/pricing",
    abp_tags=[Tag(name="Pricing", description="Packages and campaigns.")],
)
pricing.before_request(authenticate_if_named)
pricing.before_request(counting.count_first(counting.quote, "quote_package"))

#: Seconds for which browsers and proxies may cache the packages.
CACHE_SECONDS = 60


@pricing.get(
    "/packages",
    summary="List packages",
    operation_id="listPackages",
    security=OPTIONAL_SECURITY,
    responses={
        **success(PackageList, {"items": [pricing_schemas.PACKAGE], "next_cursor": None}),
        **failures(400, 401, 500, 503),
    },
)
def list_packages(query: PackagesQuery) -> Response:
    """Returns the packages for sale, in their display order."""
    response: Response = jsonify(package_page(query, services().pricing.packages, _shown))
    response.headers["Cache-Control"] = f"public, max-age={CACHE_SECONDS}"
    return response


@pricing.post(
    "/quote",
    summary="Quote a package",
    operation_id="quotePackage",
    security=OPTIONAL_SECURITY,
    responses={
        **success(QuoteBody, pricing_schemas.QUOTE),
        **failures(400, 401, 404, 413, 429, 500, 503),
    },
)
def quote_package(body: QuoteRequest) -> dict[str, Any]:
    """Returns the current price of a package, with a campaign's code if given; `campaign` has the reason if the code
    does not apply. A quote does not redeem the code. Limited by QUOTE_RATE_LIMIT, against guessing of codes.
    """
    customer = g.principal.user_id if g.principal is not None else None
    quote = services().pricing.quote(body.package_id, body.campaign_code, str(customer) if customer else None)
    if quote is None:
        raise NotFound("There is no such package; GET /api/pricing/packages lists them.")
    campaign = quote["campaign"]
    if campaign is not None:
        campaign["message"] = REFUSAL_REASONS.get(campaign["reason"])
        campaign.pop("campaign_id")
    return {name: quote[name] for name in pricing_schemas.QUOTE}


def package_page(
    query: PackagesQuery, read: Callable[..., Rows], show: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """Return a page of packages, read by `read` and rendered by `show`."""
    rows = read(limit=query.limit, after=read_position_cursor(query.cursor) if query.cursor else None)
    return {
        "items": [show(row) for row in rows.items],
        "next_cursor": write_position_cursor(rows.items[-1]) if rows.more else None,
    }


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {"package_id": row["id"], **{name: row[name] for name in pricing_schemas.PACKAGE if name in row}}
