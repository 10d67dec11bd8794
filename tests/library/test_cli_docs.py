"""The command's page says what the command does."""

import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[2] / "docs" / "tools" / "cli.py"


def test_every_command_option_code_and_field_is_on_the_page() -> None:
    done = subprocess.run([sys.executable, TOOL, "--check"], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
