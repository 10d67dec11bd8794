"""A plain program that asks. Usage: plain.py [KEY]"""

import sys

import hitl

print(
    "value", hitl.ask("Ship it?", bool, key=sys.argv[1] if sys.argv[1:] else None, timeout_seconds=60), flush=True
)
