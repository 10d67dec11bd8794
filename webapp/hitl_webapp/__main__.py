"""`python -m hitl_webapp`: the web app in the foreground, set by `HITL_*`."""

from __future__ import annotations

from hitl_webapp.main import create_app
from hitl_webapp.serving import server_for
from hitl_webapp.settings import WebSettings


def main() -> None:
    """Serve until told to stop."""
    settings = WebSettings()
    server_for(create_app(settings), settings).run()


if __name__ == "__main__":
    main()
