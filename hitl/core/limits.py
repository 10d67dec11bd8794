"""How much a question, an answer and what comes with them may hold."""

from __future__ import annotations

from typing import Final

MAX_PROMPT_CHARS: Final = 16_384
MAX_NAME_CHARS: Final = 128
MAX_CHOICES: Final = 64
MAX_CHOICE_CHARS: Final = 256
MAX_COMMENT_CHARS: Final = 4_096
MAX_TIMEOUT_SECONDS: Final = 366 * 24 * 3600
MAX_SCHEMA_CHARS: Final = 65_536
MAX_ATTEMPTS: Final = 10
LARGEST_DOUBLE: Final = 1.7976931348623157e308
"""As a bound in a schema it says that the number becomes a double, though it may be written as a whole number."""
