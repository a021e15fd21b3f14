"""How `pixelbloom up` starts the stand-in, where PIXELBLOOM_STRIPE is local."""

import secrets
import sys
from collections.abc import Mapping

from pixelbloom.config import Settings
from pixelbloom.core.shipped import CLONE
from pixelbloom.local.child import Command
from pixelbloom.local.home import Home
from pixelbloom.local.stripe.demo import PRICES
from pixelbloom.local.stripe.server import API_KEY


def command(settings: Settings, home: Home, env: Mapping[str, str]) -> Command:
    """The stand-in, which sends its events to the API of `env`; its objects are stored in the home."""
    webhook = f"http://127.0.0.1:{env['PORT']}/api/payments/webhook"
    argv = [sys.executable, "-m", "pixelbloom.local.stripe", "--port", str(settings.stripe_port)]
    argv += ["--webhook-url", webhook, "--state", str(home.stripe)]
    secret = f"whsec_{secrets.token_urlsafe(24)}"
    own = {"STRIPE_API_KEY": API_KEY, "STRIPE_WEBHOOK_SECRET": secret, "PYTHONPATH": str(CLONE)}
    return Command("stripe", argv, env={**own, "PYTHONUNBUFFERED": "1"})


def settings(given: Settings, shop: Command) -> dict[str, str]:
    """Return the settings that lead the stack's processes to it. Given ones stay."""
    url = f"http://127.0.0.1:{given.stripe_port}"
    found = {name: shop.env[name] for name in ("STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRET")}
    defaults = {
        "STRIPE_PRICE_ID": (given.stripe_price_id, PRICES["Growth"]["id"]),
        "STRIPE_SUCCESS_URL": (given.stripe_success_url, f"{url}/done"),
        "STRIPE_CANCEL_URL": (given.stripe_cancel_url, f"{url}/cancelled"),
    }
    return {**found, "STRIPE_API_BASE": url, **{name: mine or default for name, (mine, default) in defaults.items()}}
