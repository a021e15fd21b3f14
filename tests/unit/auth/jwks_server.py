"""A local server of a project's JWKS, whose keys can be rotated and which can be down or slow."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm


class JwksServer:
    """Serves `keys` at Supabase's address. `fetches` counts the requests."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.status = 200
        self.body: bytes | None = None
        self.fetches = 0
        self.open = threading.Event()
        self.open.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.fetches += 1
                outer.open.wait(60)
                found = self.path == "/auth/v1/.well-known/jwks.json"
                body = json.dumps({"keys": outer.keys}).encode() if outer.body is None else outer.body
                self.send_response(outer.status if found else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.open.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(60)

    def add_ec(self, kid: str, curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
        """Publish a new key, on P-256 where no other curve is asked for; return the private one."""
        key = ec.generate_private_key(curve or ec.SECP256R1())
        public = json.loads(ECAlgorithm.to_jwk(key.public_key()))
        self.keys = [*self.keys, {**public, "kid": kid, "use": "sig", "alg": "ES256"}]
        return key

    def add_rsa(self, kid: str, bits: int = 2048) -> rsa.RSAPrivateKey:
        """Publish a new RSA key; return the private one."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        public = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
        public.pop("key_ops", None)
        self.keys = [*self.keys, {**public, "kid": kid, "use": "sig", "alg": "RS256"}]
        return key
