"""`pixelbloom packages` and `pixelbloom campaigns`: what is sold, by the API."""

import json
from typing import Annotated, Any

import typer

from pixelbloom.cli.connect import connect_admin, parse_uuid
from pixelbloom.cli.invoke import ApiUrl, TokenOption, read_input
from pixelbloom.cli.output import reported, result
from pixelbloom.core.statuses import RedemptionState
from pixelbloom.errors import InvalidInput

Id = Annotated[str, typer.Argument(metavar="ID", help="As `list` prints it.")]
Fields = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FIELD=VALUE...",
        help='As in the API: price=49, package_ids=["..."], ends_at=null; what is no JSON is a text.',
    ),
]
Input = Annotated[str | None, typer.Option("--input", help="A JSON object in place of fields, @FILE, or - for stdin.")]


def register(app: typer.Typer) -> None:
    packages = typer.Typer(no_args_is_help=True, help="List, create, change and retire packages.")
    packages.command("list")(list_packages)
    packages.command("create")(create_package)
    packages.command("update")(update_package)
    packages.command("retire")(retire_package)
    app.add_typer(packages, name="packages")
    campaigns = typer.Typer(no_args_is_help=True, help="List, create, change and retire campaigns, and see their uses.")
    campaigns.command("list")(list_campaigns)
    campaigns.command("create")(create_campaign)
    campaigns.command("update")(update_campaign)
    campaigns.command("retire")(retire_campaign)
    campaigns.command("uses")(uses)
    app.add_typer(campaigns, name="campaigns")


@reported
def list_packages(token: TokenOption = None, api_url: ApiUrl = None) -> None:
    """Print all packages as JSON, retired ones too."""
    with connect_admin(api_url, token) as api:
        result(list(api.each("/api/pricing/catalogue")))


@reported
def create_package(
    fields: Fields = None, input: Input = None, token: TokenOption = None, api_url: ApiUrl = None
) -> None:
    """Create a package: name=Growth price=149 stripe_price_id=price_123 ..."""
    body = _body(fields, input)
    with connect_admin(api_url, token) as api:
        result(api.post("/api/pricing/packages", body))


@reported
def update_package(
    package_id: Id, fields: Fields = None, input: Input = None, token: TokenOption = None, api_url: ApiUrl = None
) -> None:
    """Change fields of a package."""
    _update("packages", package_id, _body(fields, input), token, api_url)


@reported
def retire_package(package_id: Id, token: TokenOption = None, api_url: ApiUrl = None) -> None:
    """Stop selling a package; those who have it retain it."""
    _update("packages", package_id, {"active": False}, token, api_url)


@reported
def list_campaigns(token: TokenOption = None, api_url: ApiUrl = None) -> None:
    """Print all campaigns as JSON, newest first."""
    with connect_admin(api_url, token) as api:
        result(list(api.each("/api/pricing/campaigns")))


@reported
def create_campaign(
    fields: Fields = None, input: Input = None, token: TokenOption = None, api_url: ApiUrl = None
) -> None:
    """Create a campaign: code=WELCOME20 discount_type=percentage discount_value=20 ..."""
    body = _body(fields, input)
    with connect_admin(api_url, token) as api:
        result(api.post("/api/pricing/campaigns", body))


@reported
def update_campaign(
    campaign_id: Id, fields: Fields = None, input: Input = None, token: TokenOption = None, api_url: ApiUrl = None
) -> None:
    """Change fields of a campaign."""
    _update("campaigns", campaign_id, _body(fields, input), token, api_url)


@reported
def retire_campaign(campaign_id: Id, token: TokenOption = None, api_url: ApiUrl = None) -> None:
    """Stop accepting a code; granted discounts stay."""
    _update("campaigns", campaign_id, {"active": False}, token, api_url)


@reported
def uses(
    campaign_id: Id,
    state: Annotated[RedemptionState | None, typer.Option(help="Only those.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many at most.")] = 50,
    token: TokenOption = None,
    api_url: ApiUrl = None,
) -> None:
    """Print the newest uses of a campaign as JSON."""
    wanted = {"campaign_id": str(parse_uuid(campaign_id, "The campaign's id")), "state": state, "limit": limit}
    with connect_admin(api_url, token) as api:
        result(api.get("/api/pricing/redemptions", **wanted)["items"])


def _update(kind: str, row_id: str, changes: dict[str, Any], token: str | None, api_url: str | None) -> None:
    path = f"/api/pricing/{kind}/{parse_uuid(row_id, 'The id')}"
    with connect_admin(api_url, token) as api:
        result(api.patch(path, changes))


def _body(fields: list[str] | None, source: str | None) -> dict[str, Any]:
    """Raises InvalidInput."""
    if bool(fields) == (source is not None):
        raise InvalidInput("name fields, like price=49, or pass --input")
    if source is not None:
        return read_input(source)
    body: dict[str, Any] = {}
    for field in fields or ():
        name, equals, text = field.partition("=")
        if not (name and equals):
            raise InvalidInput(f"{field!r} is not a field and its value, like price=49")
        try:
            body[name] = json.loads(text)
        except ValueError:
            body[name] = text
    return body
