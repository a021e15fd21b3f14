"""The stand-in as a program of the local stack."""

import os
from argparse import ArgumentParser
from pathlib import Path

from pixelbloom.local.stripe.demo import PRICES
from pixelbloom.local.stripe.server import API_KEY, SECRET, StripeServer


def main() -> None:
    """Serve until killed. The secret comes from STRIPE_WEBHOOK_SECRET, the key from STRIPE_API_KEY."""
    parser = ArgumentParser(prog="python -m pixelbloom.local.stripe", description=__doc__)
    parser.add_argument("--port", type=int, default=12111)
    parser.add_argument("--webhook-url", help="where events are sent")
    parser.add_argument("--state", type=Path, help="the file that stores its objects")
    options = parser.parse_args()
    server = StripeServer(
        port=options.port,
        webhook_url=options.webhook_url,
        secret=os.environ.get("STRIPE_WEBHOOK_SECRET", SECRET).split(",")[0],
        api_key=os.environ.get("STRIPE_API_KEY", API_KEY),
        state=options.state,
    )
    server.offer([{"name": name, **price} for name, price in PRICES.items()])
    server.serve()


if __name__ == "__main__":
    main()
