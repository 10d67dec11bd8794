"""What a request must keep to before anything else looks at it: fields sent once, and no page of another site.

Both are by hand: Starlette has no middleware for them. Hosts are checked by its own, see `hitl_webapp.app`.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from hitl_webapp.below import SITE
from hitl_webapp.explain import refuse
from hitl_webapp.problems import BadInput, OtherSite
from hitl_webapp.settings import WebSettings

# A second one of these would be another's word against the first.
_ONCE: Final = (
    b"host",
    b"content-length",
    b"content-type",
    b"content-encoding",
    b"transfer-encoding",
    b"authorization",
    b"idempotency-key",
    b"origin",
    b"sec-fetch-site",
    b"x-hitl-proxy-secret",
)
_USUAL_PORTS: Final = {"http": ":80", "https": ":443"}
_SAFE: Final = ("GET", "HEAD", "OPTIONS")


class FieldsOnce:
    """Refuses a request that has a header field twice which decides something."""

    def __init__(self, app: ASGIApp, settings: WebSettings) -> None:
        self._app = app
        identity = (settings.proxy_user_header, settings.proxy_groups_header)
        self._once = frozenset((*_ONCE, *(name.lower().encode("latin-1") for name in identity)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and (twice := self._twice(scope["headers"])):
            error = BadInput(f"The header {twice} is there twice: send it once.")
            await refuse(scope, receive, send, error)
            return
        await self._app(scope, receive, send)

    def _twice(self, fields: list[tuple[bytes, bytes]]) -> str:
        names = [name for name, _ in fields]
        if len(set(names)) == len(names):
            return ""
        return next((name.decode("latin-1") for name in names if name in self._once and names.count(name) > 1), "")


class OwnPages:
    """Refuses what pages of other sites send in a visitor's name."""

    def __init__(self, app: ASGIApp, settings: WebSettings) -> None:
        self._app = app
        self._own = _authority(settings.endpoint)
        # Without TLS only a link's token shows whose a page is.
        self._by_token = settings.auth == "link" and not settings.loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] not in _SAFE and self._of_another_site(scope):
            await refuse(scope, receive, send, OtherSite("Answers are not accepted from pages of other sites."))
            return
        await self._app(scope, receive, send)

    def _of_another_site(self, scope: Scope) -> bool:
        fields = {name: value.decode("latin-1") for name, value in scope["headers"] if name in _ASKED}
        site = fields.get(b"sec-fetch-site")
        if site not in (None, "none", "same-origin"):
            return True
        origin, host = fields.get(b"origin"), fields.get(b"host", "")
        if origin == "null":
            # Our own pages are sent with no referrer, for which browsers write this. Sec-Fetch-Site tells them
            # from others; without TLS browsers leave it out.
            return site != "same-origin" and not (site is None and self._by_token and not SITE.get().key)
        if origin is None:
            return False
        scheme = origin.partition(":")[0].lower()
        known = (self._own or _named(scheme, host), _named(scheme, host))
        return _authority(origin) not in known


_ASKED: Final = (b"sec-fetch-site", b"origin", b"host")


def _authority(url: str) -> str | None:
    """Return host and port of a URL, as browsers write them; None: it is no URL, and nobody's."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return _named(parts.scheme, parts.netloc)


def _named(scheme: str, host: str) -> str:
    """Return a host in small letters, without the port that its scheme has anyway."""
    return host.lower().removesuffix(_USUAL_PORTS.get(scheme, "\0"))
