"""The document as JSON, and the page that shows it. Nothing comes from another server."""

import secrets

from flask import Blueprint, Response, jsonify, render_template_string
from flask_openapi3_swagger.plugins import RegisterPlugin
from flask_openapi3_swagger.templates import swagger_html_string

from pixelbloom.web.openapi.application import Api

DOCUMENT_URL = "/api/openapi.json"
DOCS_URL = "/api/docs"
#: Of the one style element that Swagger UI adds by script, in its logo.
_LOGO_STYLE = "sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w="
#: With the nonce of the page's own script and style.
_POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}' '{logo}'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def register_docs(app: Api) -> None:
    """Serve the document and the page, from this process alone."""
    docs = Blueprint("docs", __name__)

    @docs.get(DOCUMENT_URL)
    def document() -> Response:
        return jsonify(app.api_doc)

    @docs.get(DOCS_URL)
    def page() -> Response:
        nonce = secrets.token_urlsafe(16)
        html = render_template_string(
            swagger_html_string.replace('"swagger/', '"docs/swagger/')
            .replace("<script", f'<script nonce="{nonce}"')
            .replace("<style", f'<style nonce="{nonce}"'),
            doc_url=DOCUMENT_URL,
            swagger_config={"validatorUrl": None, "persistAuthorization": False},
            oauth_config=None,
        )
        response = Response(html, mimetype="text/html")
        response.headers["Content-Security-Policy"] = _POLICY.format(nonce=nonce, logo=_LOGO_STYLE)
        response.headers["Cache-Control"] = "no-store"
        return response

    app.register_blueprint(docs)
    app.register_blueprint(RegisterPlugin.register(doc_url=DOCUMENT_URL), url_prefix=DOCS_URL)
