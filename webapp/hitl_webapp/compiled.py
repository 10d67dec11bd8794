"""Templates, compiled once and kept beside their sources, as Python keeps its own bytecode.

Compiling them again takes a tenth of the time from start to the first form.
"""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import suppress
from pathlib import Path

from jinja2 import Environment
from jinja2.bccache import Bucket, FileSystemBytecodeCache

import hitl.core


class CompiledTemplates(FileSystemBytecodeCache):
    """What the templates of a folder are compiled to, in its ``__pycache__``.

    Where nothing can be written there, or Python is told to write no bytecode, they are compiled at each start.

    Args:
        templates: The folder of the templates.
        code: Folders of the code that templates call. What is constant in a template is worked out by it when the
            template is compiled, so a later change of code counts like one of the template.
    """

    def __init__(self, templates: Path, code: tuple[Path, ...]) -> None:
        super().__init__(str(templates / "__pycache__"), "%s.jinja")
        self._code = code
        self._stamp = b""

    def get_source_checksum(self, source: str) -> str:
        """Return a digest of a template's source and of the state of the code that it calls."""
        self._stamp = self._stamp or _newest(self._code)
        return hashlib.sha256(self._stamp + source.encode()).hexdigest()

    def load_bytecode(self, bucket: Bucket) -> None:
        """Read what was kept; nothing where it cannot be read."""
        with suppress(OSError):
            super().load_bytecode(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a compiled template, if that is possible and wanted."""
        if sys.dont_write_bytecode:
            return
        with suppress(OSError):
            Path(self.directory).mkdir(exist_ok=True)
            super().dump_bytecode(bucket)


def compiled_templates(webapp: Path) -> CompiledTemplates:
    """Return what the web app's templates are compiled to.

    Args:
        webapp: The folder of its package.
    """
    core = Path(hitl.core.__file__).parent
    return CompiledTemplates(webapp / "templates", (webapp, core, core / "forms"))


def compile_all(environment: Environment) -> None:
    """Compile every template, so that they are kept."""
    for name in environment.list_templates(extensions=["html"]):
        environment.get_template(name)


def _newest(folders: tuple[Path, ...]) -> bytes:
    newest = 0
    with suppress(OSError):
        for folder in folders:
            with os.scandir(folder) as files:
                newest = max([newest, *(each.stat().st_mtime_ns for each in files if each.name.endswith(".py"))])
    return str(newest).encode()
