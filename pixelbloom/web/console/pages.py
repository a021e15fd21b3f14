"""The web console: its built files, and its configuration before sign-in.

The sources are in `console/`; `make console` builds them into the folder `console` beside this module.
"""

import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, jsonify, request
from werkzeug.exceptions import NotFound

from pixelbloom.config import Settings
from pixelbloom.web.console import demo_accounts
from pixelbloom.web.console import status as console_status

BUILT = Path(__file__).with_name("static")
INDEX = "index.html"
#: The first segment of each of the console's paths; the page itself handles the rest.
SCREENS = (
    *("runs", "playground", "workflows", "schedules", "approvals", "failures", "dashboard"),
    *("leads", "conversations", "notifications", "billing", "signin"),
)
#: Seconds, a year: a file under /assets/ has the hash of its content in its name.
FOREVER = "public, max-age=31536000, immutable"
#: Sizes below this gain nothing from compression.
_SMALL_BYTES = 512
_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_NOT_BUILT = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>PixelBloom</title></head><body>'
    "<h1>The console is not built</h1><p>Run <code>make console</code> and reload this page. "
    'The API works without it: see <a href="/api/docs">its documentation</a>.</p></body></html>'
)


@dataclass(frozen=True)
class File:
    """A built file in memory."""

    name: str
    content: bytes = field(repr=False)

    @cached_property
    def etag(self) -> str:
        return hashlib.sha256(self.content).hexdigest()[:32]

    @cached_property
    def gzipped(self) -> bytes | None:
        """The compressed content, if compression is worthwhile."""
        if len(self.content) < _SMALL_BYTES or self.name.endswith((".png", ".woff2")):
            return None
        return gzip.compress(self.content, mtime=0)

    @property
    def mimetype(self) -> str:
        return mimetypes.guess_type(self.name)[0] or "application/octet-stream"


class Files:
    """The built files, by their path below a folder; empty if nothing was built.

    They are reloaded after a new build. Files of earlier builds remain available, for open pages.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._built_at = 0
        self._found: dict[str, File] = {}

    def get(self, name: str) -> File | None:
        """Return the file of this name."""
        return self._found.get(name)

    def index(self) -> File | None:
        """Return the page of the newest build."""
        try:
            built_at = (self._folder / INDEX).stat().st_mtime_ns
        except OSError:
            return self._found.get(INDEX)
        if built_at != self._built_at:
            self._found |= load(self._folder)
            self._built_at = built_at
        return self._found.get(INDEX)


def load(folder: Path) -> dict[str, File]:
    """Return the files below `folder`, except hidden ones."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            name = path.relative_to(folder).as_posix()
            found[name] = File(name, path.read_bytes())
    return found


def register(app: Flask, settings: Settings, folder: Path = BUILT) -> None:
    """Serve the console, unless PIXELBLOOM_CONSOLE is off."""
    if settings.pixelbloom_console == "off":
        return
    files = Files(folder)
    files.index()
    console = Blueprint("console", __name__)

    def page(**_: str) -> Response:
        index = files.index()
        response = _sent(index) if index is not None else Response(_NOT_BUILT, 503, mimetype="text/html")
        response.headers["Cache-Control"] = "no-cache"
        response.headers["Content-Security-Policy"] = policy(settings, request.host)
        response.headers["X-Frame-Options"] = "DENY"
        return response

    console.add_url_rule("/", "home", page)
    for screen in SCREENS:
        console.add_url_rule(f"/{screen}", screen, page)
        console.add_url_rule(f"/{screen}/<path:rest>", screen, page)

    @console.get("/assets/<path:name>")
    def asset(name: str) -> Response:
        """Return one of the hashed files."""
        file = files.get(f"assets/{name}")
        if file is None:
            raise NotFound
        response = _sent(file)
        response.headers["Cache-Control"] = FOREVER
        return response

    @console.get("/console/config.json")
    def config() -> Response:
        """Return the URLs and the publishable key; nothing secret."""
        return jsonify(public_config(settings))

    demo_accounts.register(console, settings)
    console_status.register(console, settings)
    app.register_blueprint(console)


def public_config(settings: Settings) -> dict[str, Any]:
    """Return what the page needs for sign-in."""
    key = settings.supabase_anon_key
    return {
        "api_url": "",
        "supabase_url": settings.supabase_url,
        "publishable_key": key.get_secret_value() if key is not None else None,
        "demo_accounts": demo_accounts.offered(settings),
    }


def policy(settings: Settings, host: str) -> str:
    """Return the Content-Security-Policy of the console's page. It allows connections only to us and to Supabase."""
    targets = ["'self'"]
    if _HOST.fullmatch(host):
        targets += [f"ws://{host}", f"wss://{host}"]
    if settings.supabase_url is not None:
        parts = urlsplit(str(settings.supabase_url))
        targets.append(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        f"connect-src {' '.join(targets)}; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    )


def _sent(file: File) -> Response:
    zipped = file.gzipped if request.accept_encodings["gzip"] else None
    response = Response(zipped if zipped is not None else file.content, mimetype=file.mimetype)
    if zipped is not None:
        response.headers["Content-Encoding"] = "gzip"
    if file.gzipped is not None:
        response.vary.add("Accept-Encoding")
    response.set_etag(file.etag, weak=True)
    response.make_conditional(request)
    return response
