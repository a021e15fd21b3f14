"""The checks of `doctor` of external services: models and payments."""

from urllib.parse import urlsplit

import httpx

from pixelbloom.cli.findings import TIMEOUT, Finding, off, ok, shown, warning
from pixelbloom.config import Settings
from pixelbloom.core.addresses import is_loopback
from pixelbloom.models.health import huggingface_status, ollama_status


def ollama(settings: Settings) -> Finding:
    """The models here. Without them HuggingFace is used, or the rules."""
    status = ollama_status(settings)
    if status.ok:
        return ok(f"Ollama {status.version or ''} at {shown(settings.ollama_host)}, models: all that are wanted")
    advice = (status.advice or "").replace(settings.ollama_host, shown(settings.ollama_host))
    problem, _, remedy = advice.partition(": ")
    return warning(problem, remedy)


def huggingface(settings: Settings) -> Finding:
    """The second provider of models."""
    status = huggingface_status(settings)
    if not status.configured:
        return off("HUGGINGFACE_API_KEY is not set; without Ollama agents use their rules")
    if not status.ok:
        problem, _, remedy = (status.advice or "it cannot be used").partition(": ")
        return warning(problem, remedy or "check HUGGINGFACE_API_KEY and HUGGINGFACE_BASE_URL")
    if settings.pixelbloom_model == "local" and is_loopback(urlsplit(settings.huggingface_base_url).hostname):
        return ok(f"a small model for demonstration, {settings.huggingface_model}")
    return ok(f"reachable, model {settings.huggingface_model}")


def stripe(settings: Settings) -> Finding:
    """Payments."""
    if settings.stripe_api_key is None:
        return off("STRIPE_API_KEY is not set; payments return 503", "set it to a key from the Stripe dashboard")
    key = settings.stripe_api_key.get_secret_value()
    local = is_loopback(urlsplit(settings.stripe_api_base).hostname)
    try:
        response = httpx.get(
            f"{settings.stripe_api_base}/v1/balance", auth=(key, ""), timeout=TIMEOUT, trust_env=not local
        )
    except (httpx.HTTPError, httpx.InvalidURL):
        return warning(f"unreachable at {shown(settings.stripe_api_base)}", "check the network and STRIPE_API_BASE")
    mode = "live" if "_live_" in key else "test" if "_test_" in key else "unknown"
    if response.status_code == 401:
        return warning("Stripe refuses the key", "set STRIPE_API_KEY to a key from the Stripe dashboard")
    # 403: a restricted key that may do other things than this.
    if response.status_code not in (200, 403):
        return warning(f"Stripe returned {response.status_code}", "see https://status.stripe.com")
    if not settings.stripe_webhook_secret:
        return warning(
            f"the key is taken ({mode} mode), STRIPE_WEBHOOK_SECRET is not set",
            "set it to the signing secret of the webhook, or payments are never recorded",
        )
    return ok(f"the key is taken ({mode} mode)")
