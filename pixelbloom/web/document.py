"""`python -m pixelbloom.web.document` prints the API's OpenAPI document. It needs no settings, and connects nowhere."""

import json
import sys
from typing import Any

from pixelbloom.config import Settings
from pixelbloom.web.app import create_app

#: An unused address, and keys without meaning.
_NOWHERE = {
    "supabase_url": "http://127.0.0.1:9",
    "supabase_service_role_key": "none",
    "redis_url": "redis://127.0.0.1:9",
    "supabase_jwt_secret": "0" * 32,
    "api_jwt_secret": "0" * 32,
    "log_level": "error",
}


def document() -> dict[str, Any]:
    """Return the document that `/api/openapi.json` serves."""
    return create_app(Settings(_env_file=None, **_NOWHERE)).api_doc  # type: ignore[arg-type]


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=1, sort_keys=True)
