"""Checks the providers for `pixelbloom doctor`. Never raises: errors are part of the status."""

from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from pixelbloom.config import Settings
from pixelbloom.core.text import shorten
from pixelbloom.models.catalog import REQUIRED

#: Seconds per request.
TIMEOUT = 3.0


@dataclass(frozen=True)
class OllamaStatus:
    """The status of OLLAMA_HOST. `missing` are the agents' models that are not pulled."""

    reachable: bool
    version: str | None
    installed: tuple[str, ...]
    missing: tuple[str, ...]
    advice: str | None

    @property
    def ok(self) -> bool:
        """Whether every agent's model is available."""
        return self.reachable and not self.missing


@dataclass(frozen=True)
class HuggingFaceStatus:
    """The status of the fallback provider.

    `key_accepted` and `model_served` are None if unknown. The router lists its models without a key too, so an invalid
    key may show only with the first call.
    """

    configured: bool
    reachable: bool
    key_accepted: bool | None
    model_served: bool | None
    advice: str | None

    @property
    def ok(self) -> bool:
        """Whether no problem was found."""
        return self.reachable and self.key_accepted is not False and self.model_served is not False


def ollama_status(settings: Settings, wanted: Sequence[str] = REQUIRED) -> OllamaStatus:
    """Request the version and the models. If OLLAMA_MODEL is set, only that model is required."""
    wanted = (settings.ollama_model,) if settings.ollama_model else tuple(wanted)
    try:
        with httpx.Client(base_url=settings.ollama_host, timeout=TIMEOUT, trust_env=False) as client:
            version = client.get("/api/version").raise_for_status().json().get("version")
            listed = client.get("/api/tags").raise_for_status().json().get("models") or []
            installed = tuple(sorted(str(model.get("model") or model.get("name")) for model in listed))
    except httpx.HTTPStatusError as error:
        advice = f"{settings.ollama_host} responds, but not like Ollama ({error.response.status_code})"
        return OllamaStatus(False, None, (), wanted, f"{advice}: check OLLAMA_HOST")
    except httpx.TransportError:
        advice = f"Ollama is unreachable at {settings.ollama_host}: start it with `ollama serve`, or set OLLAMA_HOST"
        return OllamaStatus(False, None, (), wanted, advice)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, AttributeError, TypeError):
        advice = f"{settings.ollama_host} responds, but not like Ollama: check OLLAMA_HOST"
        return OllamaStatus(False, None, (), wanted, advice)
    missing = tuple(model for model in wanted if _full(model) not in map(_full, installed))
    pulls = " && ".join(f"ollama pull {model}" for model in missing)
    return OllamaStatus(
        reachable=True,
        version=shorten(str(version), 50) if version else None,
        installed=installed,
        missing=missing,
        advice=f"models are missing: {pulls}" if missing else None,
    )


def huggingface_status(settings: Settings) -> HuggingFaceStatus:
    """Request the list of models, with the key."""
    key = settings.huggingface_api_key
    if key is None:
        return HuggingFaceStatus(False, False, None, None, "HUGGINGFACE_API_KEY is not set: no second provider")
    base = settings.huggingface_base_url
    try:
        headers = {"Authorization": f"Bearer {key.get_secret_value()}"}
        with httpx.Client(timeout=TIMEOUT) as client:
            response = client.get(f"{base}/models", headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL):
        return HuggingFaceStatus(True, False, None, None, f"HuggingFace is unreachable at {base}")
    if response.status_code in (401, 403):
        advice = "HuggingFace refuses the key: create a new one at https://huggingface.co/settings/tokens"
        return HuggingFaceStatus(True, True, False, None, advice)
    try:
        served = {str(model["id"]) for model in response.raise_for_status().json()["data"]}
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return HuggingFaceStatus(True, True, None, None, None)
    if settings.huggingface_model in served:
        return HuggingFaceStatus(True, True, True, True, None)
    advice = f"HuggingFace does not serve {settings.huggingface_model}: set HUGGINGFACE_MODEL to one it lists"
    return HuggingFaceStatus(True, True, True, False, advice)


def _full(model: str) -> str:
    """Return the full name of a model: `llama3` is `llama3:latest`."""
    return model if ":" in model else f"{model}:latest"
