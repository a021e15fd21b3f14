"""`/api/pricing`: packages, campaigns and redemptions, for administrators and services."""

from flask import request
from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.database.cursors import write_position_cursor
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
    added = services().pricing.add_package(body.model_dump(mode="json"))
    return PackageTerms.model_validate(added).respond(201)


@pricing_admin.get(
    "/packages/<package_id>",
    summary="Get a package",
    operation_id="getPackage",
    responses={**success(PackageTerms, headers=("ETag",)), **failures(401, 403, 404, 500, 503)},
)
def get_package(path: PackagePath) -> Responded:
    """Returns the package, even a retired one."""
    return PackageTerms.model_validate(services().pricing.get_package(uuid_or_none(path.package_id))).respond()


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
    row = services().pricing.get_package(uuid_or_none(path.package_id))
    services().pricing.check_package({**row, **changes})
    return PackageTerms.model_validate(changed(row, changes, services().pricing.change_package)).respond()


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
    added = services().pricing.add_campaign(body.model_dump(mode="json"))
    return CampaignTerms.model_validate(added).respond(201)


@pricing_admin.get(
    "/campaigns/<campaign_id>",
    summary="Get a campaign",
    operation_id="getCampaign",
    responses={**success(CampaignTerms, headers=("ETag",)), **failures(401, 403, 404, 500, 503)},
)
def get_campaign(path: CampaignPath) -> Responded:
    """Returns the campaign; `uses` counts paid and open redemptions."""
    return CampaignTerms.model_validate(services().pricing.get_campaign(uuid_or_none(path.campaign_id))).respond()


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
    row = services().pricing.get_campaign(uuid_or_none(path.campaign_id))
    services().pricing.check_campaign({**row, **changes})
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
    return RedemptionBody.model_validate(services().checkouts.release(uuid_or_none(path.redemption_id)))
