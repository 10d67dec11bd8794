"""A file as the answer to a question."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO, Any

from pydantic import ConfigDict, PrivateAttr

from hitl.author.syncify import Syncified
from hitl.core.documents import OutcomeDocument
from hitl.core.evidence import shown_name
from hitl.core.files import FileValue
from hitl.errors import InvalidRequest
from hitl.records.files import download
from hitl.storage import Store


class File(FileValue):
    """A file that somebody uploads as the answer: ``hitl.ask("The signed contract?", hitl.File)``.

    It is the whole answer, never a part of a model. `kubectl` and Git cannot answer by one.

    Attributes:
        name: Its name, which is no path; 1 to 128 characters.
        media_type: What its first bytes say that it is; `application/octet-stream` if they say nothing.
        size_bytes: How many bytes it has.
        sha256: Their digest, 64 hexadecimal characters.
    """

    model_config = ConfigDict(ignored_types=(Syncified,))

    _place: tuple[Store, str, str] | None = PrivateAttr(default=None)
    _copy: Path | None = PrivateAttr(default=None)

    def at(self, store: Store, outcome: OutcomeDocument) -> File:
        """Return the same file, which knows where its bytes lie. `Event.wait` has done so.

        Args:
            store: The storage of the event.
            outcome: The outcome whose answer the file is.
        """
        self._place = (store, outcome.request_id, outcome.submission_id)
        return self

    @Syncified
    async def path(self) -> Path:
        """Download the file into a new temporary folder, once, and return its path.

        Raises:
            DocumentDamaged: what lies in storage is not what was uploaded.
            StorageUnavailable: the storage did not answer in time.
            InvalidRequest: the file is not the answer of an event.
        """
        return await self._downloaded()

    @Syncified
    async def open(self) -> IO[bytes]:
        """Download the file as `path` does, and open it for reading. The caller closes it.

        Raises:
            DocumentDamaged, StorageUnavailable, InvalidRequest: as `path` does.
        """
        return (await self._downloaded()).open("rb")

    @Syncified
    async def to_flyte(self) -> Any:
        """Return the file as a Flyte `File`, to be returned from a task. Needs Flyte.

        Raises:
            DocumentDamaged, StorageUnavailable, InvalidRequest: as `path` does.
        """
        from hitl.engines.flyte_files import flyte_file  # a program may do without Flyte

        return await flyte_file(str(await self._downloaded()))

    async def _downloaded(self) -> Path:
        if self._place is None:
            raise InvalidRequest(f"{self.name} is not the answer of an event, so nobody knows where its bytes lie")
        if self._copy is None or not self._copy.exists():
            # The name decides nothing: what looks like an option or a hidden file stays in its folder.
            path = Path(tempfile.mkdtemp(prefix="hitl-")) / shown_name(self.name)
            with path.open("xb") as file:
                async for part in download(*self._place, self):
                    file.write(part)
            self._copy = path
        return self._copy
