"""A program that asks under a key, waits, and ends at once."""

import hitl

print("asking", flush=True)
print("value", hitl.ask("Ship it?", bool, name="ship", key="ship-2.4", timeout_seconds=600), flush=True)
