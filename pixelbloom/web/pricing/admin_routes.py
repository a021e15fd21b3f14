"""`/api/pricing`: packages, campaigns and redemptions, for administrators and services."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from flask import request
from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.database.cursors import write_position_cursor
from pixelbloom.errors import Conflict, InvalidInput, NotFound
from pixelbloom.payments.campaigns import check_campaign
from pixelbloom.payments.selling import check_package
from pixelbloom.web.container import services
from pixelbloom.web.http.caller import require_admin, scoped
from pixelbloom.web.http.openapi import IF_MATCH, SECURITY, failures, headers, success
from pixelbloom.web.http.rendering import Responded
from pixelbloom.web.http.schemas import uuid_or_none
from pixelbloom.web.http.versions import changed
from pixelbloom.web.pricing.admin_schemas import (
    CampaignChanges,
    CampaignPage,
    CampaignPath,
    CampaignRequest,
    CampaignsQuery,
    CampaignTerms,
    CatalogueList,
    PackageChanges,
    PackagePath,
    PackageRequest,
    PackageTerms,
    RedemptionBody,
    RedemptionPage,
    RedemptionPath,
    RedemptionsQuery,
)
from pixelbloom.web.pricing.routes import pricing
from pixelbloom.web.pricing.schemas import PackagesQuery

pricing_admin = APIBlueprint(
    "pricing_admin",
    __name__,
    url_prefix="/api/pricing",
    abp_tags=[Tag(name="Pricing", description="Packages and campaigns.")],
    abp_security=SECURITY,
)
_NO_PACKAGE = "There is no such package; GET /api/pricing/catalogue lists them."
_NO_CAMPAIGN = "There is no such campaign; GET /api/pricing/campaigns lists them."
_NO_REDEMPTION = "There is no such redemption; GET /api/pricing/redemptions lists them."


def guard() -> None:
    """Require an administrator's or a service's token, with the scope of payments if it has scopes."""
    scoped("payments")()
    require_admin("manage packages and campaigns")


pricing_admin.before_request(guard)


@pricing.before_request
def guard_creation() -> None:
    """Require an administrator or a service to create packages; the same URL lists them for everybody."""
    if request.endpoint == f"{pricing.name}.{create_package.__name__}":
        guard()


@pricing_admin.get(
    "/catalogue",
    summary="List the catalogue",
    operation_id="listCatalogue",
    responses={**success(CatalogueList), **failures(400, 401, 403, 500, 503)},
)
def list_catalogue(query: PackagesQuery) -> CatalogueList:
    """Returns all packages, retired ones too, with their prices at Stripe, in their display order."""
    rows = services().pricing.catalogue(limit=query.limit, after=query.after)
    return CatalogueList.of(rows, write_position_cursor)


@pricing.post(
    "/packages",
    summary="Create a package",
    operation_id="createPackage",
    security=SECURITY,
    responses={**success(PackageTerms, status=201), **failures(400, 401, 403, 409, 413, 500, 502, 503)},
)
def create_package(body: PackageRequest) -> Responded:
    """Creates a package. It is on sale at once if it has a price at Stripe, which must match it."""
    row = body.model_dump(mode="json")
    _checked_package(row)
    added = _unique(lambda: services().pricing.add_package(row), "name or stripe_price_id")
    return PackageTerms.model_validate(added).respond(201)


@pricing_admin.get(
    "/packages/<package_id>",
    summary="Get a package",
    operation_id="getPackage",
    responses={**success(PackageTerms, headers=("ETag",)), **failures(401, 403, 404, 500, 503)},
)
def get_package(path: PackagePath) -> Responded:
    """Returns the package, even a retired one."""
    return PackageTerms.model_validate(_found_package(path.package_id)).respond()


@pricing_admin.patch(
    "/packages/<package_id>",
    summary="Update a package",
    operation_id="updatePackage",
    responses={**success(PackageTerms), **failures(400, 401, 403, 404, 409, 413, 500, 502, 503)},
    openapi_extensions=headers(IF_MATCH),
)
def change_package(path: PackagePath, body: PackageChanges) -> Responded:
    """Changes the given fields. `active` false retires the package: it is not sold any more, also to subscribers of
    others; its own subscribers are not affected. With `If-Match`, only if it was not changed since.
    """
    changes = body.model_dump(mode="json", exclude_unset=True)
    row = _found_package(path.package_id)
    _checked_package({**row, **changes})
    change = services().pricing.change_package
    after = _unique(lambda: changed(row, changes, change), "name or stripe_price_id")
    return PackageTerms.model_validate(after).respond()


@pricing_admin.get(
    "/campaigns",
    summary="List campaigns",
    operation_id="listCampaigns",
    responses={**success(CampaignPage), **failures(400, 401, 403, 500, 503)},
)
def list_campaigns(query: CampaignsQuery) -> CampaignPage:
    """Returns all campaigns, retired ones too, newest first."""
    return CampaignPage.of(services().pricing.campaigns(limit=query.limit, before=query.before))


@pricing_admin.post(
    "/campaigns",
    summary="Create a campaign",
    operation_id="createCampaign",
    responses={**success(CampaignTerms, status=201), **failures(400, 401, 403, 409, 413, 500, 503)},
)
def create_campaign(body: CampaignRequest) -> Responded:
    """Creates a campaign. Its code is valid at once, or from `starts_at` on."""
    row = body.model_dump(mode="json")
    _checked_campaign({**row, "uses": 0})
    added = _unique(lambda: services().pricing.add_campaign(row), "code")
    return CampaignTerms.model_validate(added).respond(201)


@pricing_admin.get(
    "/campaigns/<campaign_id>",
    summary="Get a campaign",
    operation_id="getCampaign",
    responses={**success(CampaignTerms, headers=("ETag",)), **failures(401, 403, 404, 500, 503)},
)
def get_campaign(path: CampaignPath) -> Responded:
    """Returns the campaign; `uses` counts paid and open redemptions."""
    return CampaignTerms.model_validate(_found_campaign(path.campaign_id)).respond()


@pricing_admin.patch(
    "/campaigns/<campaign_id>",
    summary="Update a campaign",
    operation_id="updateCampaign",
    responses={**success(CampaignTerms), **failures(400, 401, 403, 404, 409, 413, 500, 503)},
    openapi_extensions=headers(IF_MATCH),
)
def change_campaign(path: CampaignPath, body: CampaignChanges) -> Responded:
    """Changes the given fields; granted discounts are not affected. `active` false retires the campaign. With
    `If-Match`, only if it was not changed since.
    """
    changes = body.model_dump(mode="json", exclude_unset=True)
    row = _found_campaign(path.campaign_id)
    _checked_campaign({**row, **changes})
    return CampaignTerms.model_validate(changed(row, changes, services().pricing.change_campaign)).respond()


@pricing_admin.get(
    "/redemptions",
    summary="List redemptions",
    operation_id="listRedemptions",
    responses={**success(RedemptionPage), **failures(400, 401, 403, 500, 503)},
)
def list_redemptions(query: RedemptionsQuery) -> RedemptionPage:
    """Returns redemptions of campaign codes, newest first, of one campaign or of all; `state` filters for open,
    completed or released ones.
    """
    rows = services().pricing.redemptions(
        campaign_id=query.campaign_id, state=query.state, limit=query.limit, before=query.before
    )
    return RedemptionPage.of(rows)


@pricing_admin.post(
    "/redemptions/<redemption_id>/release",
    summary="Release a redemption",
    operation_id="releaseRedemption",
    responses={**success(RedemptionBody), **failures(401, 403, 404, 409, 429, 500, 502, 503)},
)
def release_redemption(path: RedemptionPath) -> RedemptionBody:
    """Releases an open redemption of a campaign code. Its checkout is expired at Stripe first, so that it cannot be
    paid any more; one that was paid meanwhile is completed.
    """
    row = _found_redemption(path.redemption_id)
    if row["released_at"] is not None or row["completed_at"] is not None:
        raise Conflict("Only an open redemption can be released; this one is completed or released.")
    if row["stripe_session_id"] is not None:
        services().stripe.ready()
    services().checkouts.end_redemption(row["redemption_key"], row["stripe_session_id"])
    return RedemptionBody.model_validate(_found_redemption(path.redemption_id))


def _found_package(text: str) -> dict[str, Any]:
    return _found(text, services().pricing.package, _NO_PACKAGE)


def _found_campaign(text: str) -> dict[str, Any]:
    return _found(text, services().pricing.campaign, _NO_CAMPAIGN)


def _found_redemption(text: str) -> dict[str, Any]:
    return _found(text, services().pricing.redemption, _NO_REDEMPTION)


def _found(text: str, find: Callable[[UUID], dict[str, Any] | None], message: str) -> dict[str, Any]:
    """Return the row of this id. Raises NotFound."""
    row_id = uuid_or_none(text)
    row = find(row_id) if row_id else None
    if row is None:
        raise NotFound(message)
    return row


def _checked_package(row: dict[str, Any]) -> None:
    """Validate a package. Raises InvalidInput."""
    _refuse(check_package(row))
    if services().settings.stripe_api_key is not None:
        services().checkouts.check_package(row)


def _checked_campaign(row: dict[str, Any]) -> None:
    """Validate a campaign. Raises InvalidInput."""
    _refuse(check_campaign(row, services().pricing.known_packages(row["package_ids"] or ())))


def _refuse(errors: list[Any]) -> None:
    if errors:
        raise InvalidInput.of(errors)


def _unique(act: Callable[[], dict[str, Any]], names: str) -> dict[str, Any]:
    """Run `act`; raise a Conflict that names the unique fields if the row exists already."""
    try:
        return act()
    except Conflict as error:
        raise (
            Conflict(f"Another one has this {names}; choose another.") if "exists" in error.message else error
        ) from None
