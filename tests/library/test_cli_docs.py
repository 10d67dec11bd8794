"""The command's page says what the command does."""

import re
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[2] / "docs" / "tools" / "cli.py"


def test_every_command_option_code_and_field_is_on_the_page() -> None:
    done = subprocess.run([sys.executable, TOOL, "--check"], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def test_the_command_says_question_where_storage_says_request() -> None:
    # The page is made from the command's help, exit codes and fields. Field names stay as they are.
    page = (TOOL.parents[1] / "cli.md").read_text()

    assert re.findall(r".*\brequests?\b.*", page, re.IGNORECASE) == []
