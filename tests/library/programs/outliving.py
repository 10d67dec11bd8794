"""A program that asks in a thread when its main thread has ended. Usage: outliving.py [asked]"""

import sys
import threading

import hitl


def ask_late() -> None:
    threading.main_thread().join()
    try:
        hitl.ask("Late?", bool, timeout_seconds=60)
    except hitl.HITLError as error:
        print("refused", type(error).__name__, error, flush=True)


if sys.argv[1:]:
    hitl.new_event("earlier", bool, timeout_seconds=60)
else:
    _ = hitl.ask
threading.Thread(target=ask_late).start()
