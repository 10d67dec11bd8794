"""A container's first process, told to end while it waits, or while it does not. Usage: first_process.py HOW"""

import asyncio
import os
import signal
import sys
import threading
import time

from hitl.engines.signals import ends_on_sigterm, take_sigterm

assert os.getpid() == 1, "this belongs into a namespace of its own"
take_sigterm()
told = threading.Event()


def tell() -> None:
    os.kill(1, signal.SIGTERM)
    # Delivered by now, and not taken: a second one is no other.
    time.sleep(0.2)
    told.set()


async def wait_in_the_loop() -> None:
    with ends_on_sigterm():
        threading.Thread(target=tell).start()
        await asyncio.to_thread(told.wait)


def wait_blocking() -> None:
    with ends_on_sigterm():
        threading.Thread(target=tell).start()
        told.wait()


def wait_in_a_thread() -> None:
    thread = threading.Thread(target=wait_blocking)
    thread.start()
    thread.join()


def do_not_wait() -> None:
    with ends_on_sigterm():
        pass
    tell()


def fork() -> None:
    if (child := os.fork()) == 0:
        signal.pause()
    time.sleep(0.2)
    os.kill(child, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM


def take_it_oneself() -> None:
    signal.signal(signal.SIGTERM, lambda *_: print("taken", flush=True))
    wait_blocking()


match sys.argv[1]:
    case "in the loop":
        asyncio.run(wait_in_the_loop())
    case "blocking":
        wait_blocking()
    case "in a thread":
        wait_in_a_thread()
    case "not":
        do_not_wait()
    case "forked":
        fork()
    case "taken":
        take_it_oneself()
print("went on", flush=True)
