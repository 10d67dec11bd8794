"""`python -m hitl_webapp`: the web app in the foreground, set by `HITL_*`."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Serve until told to stop. Exits with 2 when the settings are invalid."""
    # Nothing of what is loaded at start is ever garbage: not looking for any there makes the start shorter.
    gc.disable()
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from hitl.core.faults import settings_sentences
    from hitl.logs import keep_records_short
    from hitl_webapp.main import create_app
    from hitl_webapp.serving import server_for
    from hitl_webapp.settings import WebSettings

    keep_records_short()
    try:
        settings = WebSettings()
    except (SettingsError, ValidationError) as error:
        for sentence in settings_sentences(error):
            sys.stderr.write(f"hitl_webapp: {sentence}\n")
        sys.exit(2)
    server = server_for(create_app(settings), settings)
    gc.freeze()
    gc.enable()
    server.run()


if __name__ == "__main__":
    main()
