"""`/api/pricing`: packages for sale and their prices. Needs no token."""

from flask import g
from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.database.cursors import write_position_cursor
from pixelbloom.errors import NotFound
from pixelbloom.payments.campaigns import REFUSAL_REASONS
from pixelbloom.web.container import services
from pixelbloom.web.http import counting
from pixelbloom.web.http.caller import authenticate_if_named
from pixelbloom.web.http.openapi import OPTIONAL_SECURITY, failures, success
from pixelbloom.web.http.rendering import Responded
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
    responses={**success(PackageList), **failures(400, 401, 500, 503)},
)
def list_packages(query: PackagesQuery) -> Responded:
    """Returns the packages for sale, in their display order."""
    rows = services().pricing.packages(limit=query.limit, after=query.after)
    headers = {"Cache-Control": f"public, max-age={CACHE_SECONDS}"}
    return PackageList.of(rows, write_position_cursor), 200, headers


@pricing.post(
    "/quote",
    summary="Quote a package",
    operation_id="quotePackage",
    security=OPTIONAL_SECURITY,
    responses={**success(QuoteBody), **failures(400, 401, 404, 413, 429, 500, 503)},
)
def quote_package(body: QuoteRequest) -> QuoteBody:
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
    return QuoteBody.model_validate(quote)
