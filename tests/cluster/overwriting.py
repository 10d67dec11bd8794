"""`python -m tests.cluster.overwriting NAME`: the operator, where the storage of roots of that name overwrites.

As some S3 servers do, it takes the condition, and replaces what is there all the same.
"""

import sys
from typing import Any

from hitl.storage.objectstores import ObjectFileSystem
from hitl_operator.__main__ import main

if __name__ == "__main__":
    _write, _name = ObjectFileSystem._pipe_file, sys.argv.pop(1)

    async def overwrite(self: Any, path: str, value: bytes, mode: str = "overwrite", **more: Any) -> None:
        await _write(self, path, value, "overwrite" if f"/{_name}-" in path else mode, **more)

    setattr(ObjectFileSystem, "_pipe_file", overwrite)  # noqa: B010 - mypy knows of no assignment to a method
    main()
