"""Where people reach the web app and what is around it: an ingress's prefix, the sign-in, the page of a run.

The path of the settings' `endpoint` is the prefix. An ingress may take it off a request or leave it: both are
understood.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hitl.core.documents import Origin
from hitl_webapp.settings import WebSettings


@dataclass(frozen=True)
class Site:
    """What pages link to.

    Args:
        base: What comes before the path of each address.
        sign_in: Where people sign in, as the settings have it; None: nobody signs in by a page.
        run: The address of a run, as the settings have it; may be empty.
        inbox: Whether people who sign in have a list of questions.
    """

    base: str = ""
    sign_in: str | None = None
    run: str = ""
    inbox: bool = False

    def address(self, path: str) -> str:
        """Return the address of a path of the web app, as the visitor's browser must write it."""
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


# That of the page that is being made.
SITE: Final[ContextVar[Site]] = ContextVar("hitl_site", default=Site())  # noqa: B039 - it is frozen


def site_of(settings: WebSettings) -> Site:
    """Return what the settings say about the surroundings."""
    signs_in = settings.auth == "proxy"
    return Site(
        base_path(settings.endpoint),
        settings.sign_in_url if signs_in else None,
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
    """Takes the base path off a request, and lets pages know it."""

    def __init__(self, app: ASGIApp, settings: WebSettings) -> None:
        self._app = app
        self._site = site_of(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        SITE.set(self._site)
        base = self._site.base
        if base and scope["type"] == "http":
            path: str = scope["path"]
            if path == base or path.startswith(f"{base}/"):
                scope["path"] = path[len(base) :] or "/"
        await self._app(scope, receive, send)


class Heads:
    """Answers HEAD as GET, without the body: monitors and mail programs look at links so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, without_body)
