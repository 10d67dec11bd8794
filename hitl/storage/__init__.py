"""The objects under a root: local files, memory, S3, GCS or Azure, behind one small `Store`.

Every room above may import it.

::

    store     the Store: what everybody else calls
    objects   what each kind of storage does for it
    local     files: durable creation, and no symbolic link followed below the root
    remote    S3, GCS, Azure and memory, by obstore
    opening   how the root that the settings name is opened
    known     what this process found out about a root: proven or refused, and its clock
    roots     the root's URL
"""

from hitl.storage.known import CLOCK_LIMIT_SECONDS, ticks
from hitl.storage.objects import MAX_OBJECT_BYTES
from hitl.storage.opening import open_store
from hitl.storage.roots import SERVED_SCHEMES
from hitl.storage.store import Marker, Store, Watcher

__all__ = [
    "CLOCK_LIMIT_SECONDS",
    "MAX_OBJECT_BYTES",
    "SERVED_SCHEMES",
    "Marker",
    "Store",
    "Watcher",
    "open_store",
    "ticks",
]
