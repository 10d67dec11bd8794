"""The objects under a root, on any filesystem that creates exclusively, behind one small `Store`.

Every room above may import it.

::

    store         the Store: what everybody else calls
    opening       how the root that the settings name is opened
    proof         the proof that a root creates exclusively, and its clock
    known         what this process found out about a root
    operations    one operation at a time: counted, and tried again where that is right
    objects       what each kind of storage does for a Store
    local         files: durable creation, and no symbolic link followed below the root
    remote        buckets and memory: times, time limits, sentences for errors
    objectstores  S3, GCS, Azure and memory as fsspec filesystems, by obstore
    helper        a process that talks to buckets for a forked child
    foreign       any other filesystem that fsspec opens by its URL
    sources       files that a program shows beside a question, wherever they lie
    filesystems   the door to fsspec: what may hold a root
    roots         the root's URL
"""

from hitl.storage.known import CLOCK_LIMIT_SECONDS, ticks
from hitl.storage.objects import MAX_OBJECT_BYTES
from hitl.storage.opening import open_root, open_store
from hitl.storage.operations import Watcher
from hitl.storage.roots import SERVED_SCHEMES
from hitl.storage.store import Marker, Store
from hitl.storage.together import all_of

__all__ = [
    "CLOCK_LIMIT_SECONDS",
    "MAX_OBJECT_BYTES",
    "SERVED_SCHEMES",
    "Marker",
    "Store",
    "Watcher",
    "all_of",
    "open_root",
    "open_store",
    "ticks",
]
