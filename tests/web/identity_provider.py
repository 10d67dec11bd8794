"""A stand-in for an OpenID Connect provider: it signs real tokens, and lets everybody in whose name is clicked.

It checks what a provider must check of its client: the redirect URL, the client's secret, the code and its PKCE
verifier. Passwords and consent are left out.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jwt
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from markupsafe import escape
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.backends.processes import PATIENCE

CLIENT, SECRET = "hitl", "the-client's-own-secret"


@dataclass
class Person:
    """Somebody whom the provider knows."""

    email: str
    groups: list[str]
    verified: bool = True


@dataclass
class StandInProvider:
    """The provider.

    Args:
        issuer: Its own URL.
        redirects: The redirect URLs that its client has registered.
        people: Who may sign in, by the name that is clicked.
    """

    issuer: str
    redirects: list[str]
    people: dict[str, Person]
    _codes: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    _refresh: dict[str, tuple[str, str]] = field(default_factory=dict)
    _key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    def app(self) -> Starlette:
        routes = [
            Route("/.well-known/openid-configuration", self._discovery),
            Route("/keys", self._keys),
            Route("/authorize", self._choose),
            Route("/authorize/{name}", self._allow),
            Route("/token", self._token, methods=["POST"]),
            Route("/logout", lambda _: HTMLResponse("<h1>Signed out at the provider</h1>")),
        ]
        return Starlette(routes=routes)

    def _discovery(self, _: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    def _keys(self, _: Request) -> Response:
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        return JSONResponse({"keys": [{**key, "kid": "1", "use": "sig", "alg": "RS256"}]})

    def _choose(self, request: Request) -> Response:
        if (wrong := self._wrong(dict(request.query_params))) is not None:
            return wrong
        query = escape(request.url.query)
        links = "".join(f'<li><a href="/authorize/{name}?{query}">{name}</a>' for name in self.people)
        return HTMLResponse(f"<h1>Who are you?</h1><ul>{links}</ul>")

    def _allow(self, request: Request) -> Response:
        asked, name = dict(request.query_params), request.path_params["name"]
        if (wrong := self._wrong(asked)) is not None:
            return wrong
        code = secrets.token_urlsafe(24)
        self._codes[code] = (name, asked)
        back = urlencode({"code": code, "state": asked["state"]})
        return RedirectResponse(f"{asked['redirect_uri']}?{back}", status_code=302)

    def _wrong(self, asked: dict[str, str]) -> Response | None:
        wanted = {"client_id": CLIENT, "response_type": "code", "code_challenge_method": "S256"}
        if any(asked.get(name) != value for name, value in wanted.items()) or not asked.get("nonce"):
            return HTMLResponse(f"a client of mine does not ask so: {escape(asked)}", 400)
        if asked.get("redirect_uri") not in self.redirects:
            return HTMLResponse("this is no redirect URL of the client", 400)
        return None

    async def _token(self, request: Request) -> Response:
        sent = await request.form()
        by_header = base64.b64encode(f"{CLIENT}:{_quoted(SECRET)}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {by_header}" and sent.get("client_secret") != SECRET:
            return JSONResponse({"error": "invalid_client"}, 401)
        if sent.get("grant_type") == "refresh_token":
            name, nonce = self._refresh.pop(str(sent["refresh_token"]), ("", ""))
            return self._granted(name, nonce) if name else JSONResponse({"error": "invalid_grant"}, 400)
        name, asked = self._codes.pop(str(sent.get("code")), ("", {}))
        digest = hashlib.sha256(str(sent.get("code_verifier", "")).encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if not name or challenge != asked["code_challenge"] or sent["redirect_uri"] != asked["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        return self._granted(name, asked["nonce"])

    def _granted(self, name: str, nonce: str) -> Response:
        again = secrets.token_urlsafe(24)
        self._refresh[again] = (name, nonce)
        return JSONResponse(
            {
                "token_type": "Bearer",
                "access_token": secrets.token_urlsafe(24),
                "refresh_token": again,
                "expires_in": 300,
                "id_token": self._id_token(name, nonce),
            }
        )

    def _id_token(self, name: str, nonce: str) -> str:
        now, person = int(time.time()), self.people[name]
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": f"id-of-{name}",
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            "email": person.email,
            "email_verified": person.verified,
            "preferred_username": name,
            "groups": person.groups,
        }
        return jwt.encode(claims, self._key, "RS256", headers={"kid": "1"})


def _quoted(text: str) -> str:
    # As OAuth 2 has it: each part is encoded as in a form.
    return urlencode({"": text})[1:]


@contextlib.contextmanager
def provided(
    provider: StandInProvider, host: str, port: int, tls: tuple[Path, Path] | None = None
) -> Iterator[None]:
    """Serve a provider in a thread until the block ends.

    Args:
        provider: The provider.
        host: Where it listens.
        port: And at which port.
        tls: The files of its certificate and key; None: by HTTP.
    """
    crt, key = map(str, tls) if tls else (None, None)
    config = uvicorn.Config(
        provider.app(), host, port, log_level="warning", lifespan="off", ssl_certfile=crt, ssl_keyfile=key
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + PATIENCE
    while not server.started:
        assert thread.is_alive(), "the provider ended"
        assert time.monotonic() < until, "the provider did not start"
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(PATIENCE)


def certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate of 127.0.0.1, which vouches for itself, and its key, and return their paths."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a CA of the tests")])
    builder = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    )
    crt, pem = folder / "ca.crt", folder / "ca.key"
    crt.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return crt, pem
