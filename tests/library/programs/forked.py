"""A program that asks, forks, and asks in the child, which outlives it."""

import os

import hitl

asked = hitl.new_event("parent", int, timeout_seconds=60)
if os.fork() == 0:
    own = hitl.new_event("child", int, timeout_seconds=60)
    print("child asks", own.form_url, flush=True)
    print("child got", own.wait(), flush=True)
    print("child sees", asked.wait(), flush=True)
    os._exit(0)
print("parent asks", asked.form_url, flush=True)
print("parent got", asked.wait(), flush=True)
