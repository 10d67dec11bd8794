"""`python -m tests.cluster.faulty`: the operator, killed as by ``kill -9`` right after its n-th write.

n is what ``FAULT_AFTER`` says. Writes to the storage and to the API server count alike.
"""

import os
import signal
from typing import Any

from hitl.cluster.client import Kube
from hitl.storage.remote import RemoteObjects
from hitl_operator.__main__ import main

_left = int(os.environ["FAULT_AFTER"])


def _wrote() -> None:
    global _left
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


def _faulty(name: str, original: Any) -> Any:
    async def call(*args: Any, **kwargs: Any) -> Any:
        result = await original(*args, **kwargs)
        if name != "_call" or args[1] != "GET":
            _wrote()
        return result

    return call


for kind, name in ((RemoteObjects, "_put"), (RemoteObjects, "_delete"), (Kube, "_call")):
    setattr(kind, name, _faulty(name, getattr(kind, name)))

main()
