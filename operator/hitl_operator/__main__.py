"""`hitl-operator`: the operator in the foreground, set by `HITL_*` and flags."""

from __future__ import annotations

import logging
import sys

from pydantic import ValidationError
from pydantic_settings import CliApp, SettingsError

from hitl.core.faults import settings_sentences
from hitl.errors import HITLError
from hitl.logs import keep_records_short, show_logs
from hitl_operator.process import run
from hitl_operator.settings import OperatorSettings


def main() -> None:
    """Run until told to stop. Exits with 2 when the settings are invalid, with 1 when it cannot go on."""
    show_logs(None)
    keep_records_short()
    logging.captureWarnings(True)
    # kopf reports each step of its own.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    try:
        settings = CliApp.run(OperatorSettings, cli_args=sys.argv[1:])
    except (SettingsError, ValidationError) as error:
        for sentence in settings_sentences(error):
            sys.stderr.write(f"hitl-operator: {sentence}\n")
        sys.exit(2)
    try:
        run(settings)
    except HITLError as error:
        sys.stderr.write(f"hitl-operator: {error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
