"""Where people reach the web app and what is around it: an ingress's prefix, the sign-in, the page of a run.

The path of the settings' `endpoint` is the prefix. An ingress may take it off a request or leave it: both are
understood. In local mode, the key of the user's own inbox is a prefix too, which its pages keep.
"""

import hmac
import re
from contextvars import ContextVar
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hitl.core.documents import Origin
from hitl_webapp.settings import WebSettings

_LOOPBACK: Final = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)


class Site(NamedTuple):
    """What pages link to.

    Args:
        base: What comes before the path of each address.
        sign_in: Where people sign in, as the settings have it; None: nobody signs in by a page.
        sign_out: Where they sign out; empty: nowhere.
        run: The address of a run, as the settings have it; may be empty.
        inbox: Whether people who sign in have a list of questions.
        own: Whether the user of this machine has an inbox of their own.
        key: The key of the user's own inbox, where the page was asked for by it; else empty.
    """

    base: str = ""
    sign_in: str | None = None
    sign_out: str = ""
    run: str = ""
    inbox: bool = False
    own: bool = False
    key: str = ""

    def address(self, path: str) -> str:
        """Return the address of a path of the web app, as the visitor's browser must write it."""
        return f"{self.base}/{self.key}{path}" if self.key else self.base + path

    def keyless(self, path: str) -> str:
        """Return the address of a path without the inbox's key, for what others made: it may know its address."""
        return self.base + path

    def sign_in_address(self, path: str) -> str:
        """Return where to sign in to open a page, given its path; empty: nobody signs in by a page."""
        if self.sign_in is None:
            return ""
        # The page itself asks who has no link to sign in.
        page = self.address(path)
        return self.sign_in.replace("{page}", quote(page, safe="")) if self.sign_in else page

    def run_address(self, origin: Origin) -> str:
        """Return the page of the run that asked; empty: it is not known."""
        if not self.run or not origin.run:
            return ""
        names = ("org", "project", "domain", "run", "action")
        return self.run.format_map({name: quote(getattr(origin, name), safe="") for name in names})


# The site of the current request.
SITE: Final[ContextVar[Site]] = ContextVar("hitl_site", default=Site())  # noqa: B039 - it is frozen


def site_of(settings: WebSettings) -> Site:
    """Return what the settings say about the surroundings."""
    signs_in = settings.auth == "proxy"
    return Site(
        base_path(settings.endpoint),
        settings.sign_in_url if signs_in else None,
        settings.sign_out_url if signs_in else "",
        settings.run_url,
        settings.auth != "link",
    )


def base_path(endpoint: str) -> str:
    """Return the path of a base URL, without a slash at its end; empty: the web app is at the top."""
    try:
        path = urlsplit(endpoint).path
    except ValueError:
        return ""
    return f"/{path.strip('/')}" if path.strip("/") else ""


class BelowBase:
    """Takes the base path and the inbox's key off a request, and lets pages know them.

    Args:
        app: What serves the request.
        settings: The web app's settings.
        key: The key of the user's own inbox; empty: there is none.
    """

    def __init__(self, app: ASGIApp, settings: WebSettings, key: str = "") -> None:
        self._app = app
        self._site = site_of(settings)._replace(own=bool(key))
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        site, base = self._site, self._site.base
        if base and scope["type"] == "http":
            path: str = scope["path"]
            if path == base or path.startswith(f"{base}/"):
                scope["path"] = path[len(base) :] or "/"
        if self._key and scope["type"] == "http" and (rest := self._own(scope)):
            scope["path"], site = rest, site._replace(key=self._key)
        SITE.set(site)
        await self._app(scope, receive, send)

    def _own(self, scope: Scope) -> str:
        """Return what is behind the key in a path; empty: no key is there, or another host's name is used."""
        first, slash, rest = scope["path"].removeprefix("/").partition("/")
        known = hmac.compare_digest(first.encode(errors="replace"), self._key.encode())
        host = Headers(scope=scope).get("host", "")
        return f"/{rest}" if known and slash and _LOOPBACK.fullmatch(host) else ""


class Heads:
    """Answers HEAD as GET, without the body: monitors and mail programs look at links so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        ended = False

        async def without_body(message: Message) -> None:
            nonlocal ended
            if ended:
                return
            if message["type"] == "http.response.body":
                # A stream of events has no end, but its head has: the stream is told that nobody listens.
                message, ended = {"type": "http.response.body", "body": b"", "more_body": False}, True
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, without_body)
