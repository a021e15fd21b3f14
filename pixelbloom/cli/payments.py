"""`pixelbloom payments`: Stripe's events, and processing one again; uses of codes, and releasing one."""

from typing import Annotated

import typer

from pixelbloom.cli.connect import connect_admin, parse_uuid
from pixelbloom.cli.invoke import ApiUrl, TokenOption
from pixelbloom.cli.output import reported, result, say
from pixelbloom.config import load
from pixelbloom.core.statuses import RedemptionState, StripeEventStatus
from pixelbloom.errors import InvalidInput

#: As in `stripe_events`; failed is the dead letter.


def register(app: typer.Typer) -> None:
    payments = typer.Typer(no_args_is_help=True, help="Look at Stripe's events, and process them again.")
    payments.command("events")(events)
    payments.command("replay")(replay)
    payments.command("redemptions")(redemptions)
    payments.command("release")(release)
    app.add_typer(payments, name="payments")


@reported
def events(
    status: Annotated[StripeEventStatus | None, typer.Option(help="Only those; `failed` is the dead letter.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many at most.")] = 50,
) -> None:
    """Print the newest events as JSON. Needs SUPABASE_SERVICE_ROLE_KEY, as a running local stack has it."""
    from pixelbloom.database.gateway import Gateway
    from pixelbloom.payments.store import PaymentStore

    result(PaymentStore(Gateway(load())).events(limit=limit, status=status).items)


@reported
def redemptions(
    state: Annotated[RedemptionState, typer.Option(help="Only those.")] = "open",
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many at most.")] = 50,
    token: TokenOption = None,
    api_url: ApiUrl = None,
) -> None:
    """Print the newest uses of codes as JSON; those that are open wait for their checkouts to be paid."""
    with connect_admin(api_url, token) as api:
        result(api.get("/api/pricing/redemptions", state=state, limit=limit)["items"])


@reported
def release(
    redemption_id: Annotated[str, typer.Argument(metavar="ID", help="As `redemptions` prints it.")],
    token: TokenOption = None,
    api_url: ApiUrl = None,
) -> None:
    """Release an open use of a code, and end its checkout at Stripe."""
    wanted = parse_uuid(redemption_id, "The use's id")
    with connect_admin(api_url, token) as api:
        result(api.post(f"/api/pricing/redemptions/{wanted}/release", {}))


@reported
def replay(
    event_ids: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Events, by Stripe's ids.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All of the dead letter, the newest 200.")] = False,
) -> None:
    """Process events again, by a worker within seconds. Prints their ids as JSON."""
    from pixelbloom.database.gateway import Gateway
    from pixelbloom.payments.store import PaymentStore

    if bool(event_ids) == failed:
        raise InvalidInput("name events by their ids, or pass --failed")
    store = PaymentStore(Gateway(load()))
    wanted = event_ids or [row["id"] for row in store.events(limit=200, status="failed").items]
    again = [event_id for event_id in wanted if store.replay(event_id) is not None]
    result(again)
    if unknown := [event_id for event_id in wanted if event_id not in again]:
        raise InvalidInput(f"there is no event {', '.join(unknown)}")
    say(f"{len(again)} to be processed again")
