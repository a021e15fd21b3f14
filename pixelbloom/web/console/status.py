"""`GET /console/status`: which model provider is used, and whether Stripe is real. For the console's first screen.

It has no addresses and no keys, so every signed-in user may see it.
"""

from typing import Any

from flask import Blueprint, Response, jsonify

from pixelbloom.config import Settings
from pixelbloom.errors import Unavailable
from pixelbloom.models.health import huggingface_status, ollama_status
from pixelbloom.web.http.caller import authenticate
from pixelbloom.web.operations.readiness import Probe, ProbeResult, Readiness

#: The checks themselves time out after 3 seconds.
TIMEOUT_SECONDS = 3.5
OLLAMA_FRESH_SECONDS = 15.0
#: HuggingFace is checked over the internet.
HUGGINGFACE_FRESH_SECONDS = 300.0


def register(blueprint: Blueprint, settings: Settings) -> None:
    """Add the route to the console's blueprint."""
    providers = Readiness(
        (
            Probe(
                "ollama",
                lambda: _ollama(settings),
                required=False,
                fresh_seconds=OLLAMA_FRESH_SECONDS,
                timeout=TIMEOUT_SECONDS,
            ),
            *(
                [
                    Probe(
                        "huggingface",
                        lambda: _huggingface(settings),
                        required=False,
                        fresh_seconds=HUGGINGFACE_FRESH_SECONDS,
                        timeout=TIMEOUT_SECONDS,
                    )
                ]
                if settings.huggingface_api_key is not None
                else []
            ),
        )
    )

    @blueprint.get("/console/status")
    def status() -> Response:
        """Return the providers in the order of their use, and Stripe's mode."""
        authenticate()
        return jsonify(_shown(providers.check().checks, settings))


def _shown(checks: dict[str, dict[str, Any]], settings: Settings) -> dict[str, Any]:
    if "huggingface" not in checks:
        checks = {**checks, "huggingface": {"status": "off", "detail": "HUGGINGFACE_API_KEY is not set"}}
    usable = [name for name, check in checks.items() if check["status"] in ("ok", "warning")]
    return {
        "models": {name: {"status": check["status"], "detail": check.get("detail")} for name, check in checks.items()},
        "answering": usable[0] if usable else "fallback",
        "stripe": _stripe(settings),
    }


def _ollama(settings: Settings) -> ProbeResult:
    found = ollama_status(settings)
    if not found.reachable:
        raise Unavailable("Ollama is unreachable.")
    version = f"version {found.version}, " if found.version else ""
    missing = f"not pulled: {', '.join(found.missing)}" if found.missing else None
    return ProbeResult(missing or f"{version}{len(found.installed)} models", missing)


def _huggingface(settings: Settings) -> ProbeResult:
    found = huggingface_status(settings)
    if not found.reachable:
        raise Unavailable("HuggingFace is unreachable.")
    refused = "the key is refused" if found.key_accepted is False else None
    unknown = f"{settings.huggingface_model} is not served" if found.model_served is False else None
    return ProbeResult(refused or unknown or settings.huggingface_model, refused or unknown)


def _stripe(settings: Settings) -> str:
    if settings.pixelbloom_stripe == "local":
        return "local"
    if settings.stripe_api_key is None:
        return "off"
    key = settings.stripe_api_key.get_secret_value()
    return "test" if "_test_" in key else "live"
