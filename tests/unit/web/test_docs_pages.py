"""The pages of the documentation: complete, linked, and under a policy that lets nothing else run."""

import re

import pytest

from pixelbloom.web.app import described
from pixelbloom.web.http.openapi import register_docs
from pixelbloom.web.realtime.asyncapi import asyncapi

PAGES = ["/api/docs/events", "/api/docs/guides/realtime", "/api/docs/guides/api"]


@pytest.fixture(scope="module")
def client():
    app = described()
    register_docs(app, asyncapi)
    return app.test_client()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_one_inline_style_and_no_script(client, path):
    first, second = client.get(path), client.get(path)
    [nonce] = set(re.findall(r"'nonce-([\w-]{22})'", first.headers["Content-Security-Policy"]))

    assert first.status_code == 200
    assert first.text.count(f'<style nonce="{nonce}">') == first.text.count("<style") == 1
    assert "<script" not in first.text
    assert not re.search(r"\son\w+=|\sstyle=|javascript:", re.sub(r"<code>.*?</code>", "", first.text, flags=re.S))
    assert "unsafe" not in first.headers["Content-Security-Policy"]
    assert nonce not in second.text


@pytest.mark.parametrize("path", PAGES)
def test_each_link_of_a_page_has_a_target(client, path):
    text = client.get(path).text
    targets = {target for target in re.findall(r'href="([^"]+)"', text) if not target.startswith("http")}
    ids = set(re.findall(r'id="([^"]+)"', text))

    for target in targets:
        if target.startswith("#"):
            assert target[1:] in ids
        elif target.startswith("/"):
            found = client.get(target.partition("#")[0])
            assert found.status_code == 200, target
            assert "#" not in target or f'id="{target.partition("#")[2]}"' in found.text, target


def test_the_page_of_events_shows_every_message_and_object(client):
    text = client.get("/api/docs/events").text

    for name in asyncapi()["components"]["schemas"]:
        assert f'<section id="{name}">' in text
    for name in asyncapi()["channels"]:
        assert f"/api/ws/{name}</code>" in text


@pytest.mark.parametrize("name", ["nothing", "..%2FREADME", "../README", "a.md"])
def test_there_is_no_other_guide(client, name):
    assert client.get(f"/api/docs/guides/{name}").status_code == 404


def test_the_api_page_has_token_filters_and_links_to_tokens_and_guides(client):
    page, document = client.get("/api/docs").text, client.get("/api/openapi.json").json

    assert '"persistAuthorization": true' in page
    assert '"filter": true' in page
    assert "supabase.auth.getSession()" in document["components"]["securitySchemes"]["bearer"]["description"]
    links = re.findall(r"\]\((/[^)]+)\)", document["info"]["description"])
    assert {"/api/docs/events", "/api/asyncapi.json", "/api/docs/guides/realtime"} <= set(links)
    assert [link for link in links if client.get(link).status_code != 200] == []
