"""A program that asks, and waits for the answer in a forked child and then by itself."""

import multiprocessing

import hitl

event = hitl.new_event("shared", int, timeout_seconds=60)
child = multiprocessing.get_context("fork").Process(target=event.wait)
child.start()
print("asked", event.form_url, flush=True)
print("child", child.pid, flush=True)
child.join()
print("ended", child.exitcode, flush=True)
print("parent got", event.wait(), flush=True)
