"""The console's files as the web tier serves them, and what its page may connect to."""

import gzip
import os
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from pixelbloom.config import Settings
from pixelbloom.web.console import pages as console_pages
from pixelbloom.web.http import errors, request_id

SCRIPT = b"console.log(1)\n" * 100


def client(folder: Path, **settings: object) -> FlaskClient:
    app = Flask("console", static_folder=None)
    request_id.register(app)
    errors.register(app)
    console_pages.register(app, Settings(_env_file=None, **settings), folder)  # type: ignore[call-arg, arg-type]
    return app.test_client()


@pytest.fixture
def built(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>PixelBloom</title>")
    (tmp_path / "assets" / "index-abc.js").write_bytes(SCRIPT)
    (tmp_path / ".hidden").write_text("not served")
    return tmp_path


@pytest.mark.parametrize("path", ["/", "/runs", "/runs/4f0e", "/workflows/lead_intake/edit", "/leads/%2e%2e/x"])
def test_each_address_of_the_console_serves_the_page_with_revalidation(built: Path, path: str) -> None:
    response = client(built).get(path)
    assert (response.status_code, response.mimetype) == (200, "text/html")
    assert response.headers["Cache-Control"] == "no-cache"
    again = client(built).get(path, headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_hashed_files_are_cached_forever_and_compressed(built: Path) -> None:
    page = client(built)
    plain = page.get("/assets/index-abc.js")
    assert (plain.data, plain.headers["Cache-Control"]) == (SCRIPT, "public, max-age=31536000, immutable")
    assert plain.mimetype == "text/javascript"
    zipped = page.get("/assets/index-abc.js", headers={"Accept-Encoding": "gzip, br"})
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in zipped.headers["Vary"]
    assert gzip.decompress(zipped.data) == SCRIPT


@pytest.mark.parametrize("path", ["/nothing", "/assets/none.js", "/assets/../index.html", "/.hidden", "/api/nothing"])
def test_all_other_addresses_return_the_usual_404(built: Path, path: str) -> None:
    response = client(built).get(path)
    assert (response.status_code, response.get_json()["code"]) == (404, "NOT_FOUND")


def test_the_policy_allows_no_inline_code_and_only_connections_to_us_and_supabase(built: Path) -> None:
    policy = client(built, supabase_url="https://abc.supabase.co").get("/runs").headers["Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert "unsafe" not in policy
    assert rules["default-src"] == "'none'"
    assert (rules["script-src"], rules["style-src"]) == ("'self'", "'self'")
    assert rules["frame-ancestors"] == "'none'"
    assert rules["connect-src"] == "'self' ws://localhost wss://localhost https://abc.supabase.co"


def test_an_invalid_host_adds_nothing_to_the_policy() -> None:
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    for host in ("a b", "x;script-src *", "x/*", ""):
        assert "connect-src 'self';" in console_pages.policy(settings, host)
    assert "ws://[::1]:8000" in console_pages.policy(settings, "[::1]:8000")


def test_the_configuration_contains_no_secrets(built: Path) -> None:
    response = client(
        built,
        supabase_url="https://abc.supabase.co",
        supabase_anon_key="the-publishable-key",
        supabase_service_role_key="a-secret-key",
        api_jwt_secret="another-secret-of-32-characters-or-more",
    ).get("/console/config.json")
    assert response.get_json() == {
        "api_url": "",
        "supabase_url": "https://abc.supabase.co",
        "publishable_key": "the-publishable-key",
        "demo_accounts": [],
    }


def test_a_new_build_is_served_at_once_and_files_of_open_pages_remain(built: Path) -> None:
    page = client(built)
    before = page.get("/").headers["ETag"]
    (built / "assets" / "index-abc.js").rename(built / "assets" / "index-def.js")
    (built / "index.html").write_text("<!doctype html><title>The next</title>")
    os.utime(built / "index.html", ns=(0, 1))
    assert "The next" in page.get("/", headers={"If-None-Match": before}).text
    for name in ("index-abc.js", "index-def.js"):
        assert page.get(f"/assets/{name}").data == SCRIPT
    (built / "index.html").unlink()
    assert "The next" in page.get("/").text


def test_the_console_can_be_turned_off(built: Path) -> None:
    page = client(built, pixelbloom_console="off")
    for path in ("/", "/runs", "/assets/index-abc.js", "/console/config.json"):
        assert page.get(path).status_code == 404
    assert page.post("/console/demo", json={"account": "user"}).status_code == 404


def test_without_a_build_the_page_shows_how_to_build_it(tmp_path: Path) -> None:
    response = client(tmp_path / "none").get("/")
    assert (response.status_code, response.mimetype) == (503, "text/html")
    assert "make console" in response.text
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
