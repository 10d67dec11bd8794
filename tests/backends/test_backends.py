"""The servers that other tests rely on do what those tests need of them."""

import obstore
import pytest
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import MemoryStore, ObjectStore, from_url

from tests.backends.plugin import Backend
from tests.backends.seaweed import BUCKET, Seaweed


@pytest.fixture(params=("file", "memory", "s3", "azure", "gcs"))
def backend(request: pytest.FixtureRequest) -> Backend:
    """What obstore serves."""
    found: Backend = request.getfixturevalue(f"{request.param}_backend")
    return found


def opened(backend: Backend) -> ObjectStore:
    if backend.name == "memory":
        return MemoryStore()
    return from_url(backend.url, **backend.options)


def test_the_second_exclusive_create_fails(backend: Backend) -> None:
    store = opened(backend)

    obstore.put(store, "a/key with spaces", b"first", mode="create")
    with pytest.raises(AlreadyExistsError):
        obstore.put(store, "a/key with spaces", b"second", mode="create")

    assert bytes(obstore.get(store, "a/key with spaces").bytes()) == b"first"


def test_objects_can_be_overwritten_listed_and_deleted(backend: Backend) -> None:
    store = opened(backend)
    for key in ("a/1", "a/2", "b/1"):
        obstore.put(store, key, b"old")

    obstore.put(store, "a/1", b"new")
    obstore.delete(store, "a/2")

    assert bytes(obstore.get(store, "a/1").bytes()) == b"new"
    assert sorted(found["path"] for batch in obstore.list(store) for found in batch) == ["a/1", "b/1"]
    assert [found["path"] for batch in obstore.list(store, "a") for found in batch] == ["a/1"]


def test_each_test_has_a_root_of_its_own(backend: Backend) -> None:
    assert list(obstore.list(opened(backend))) == []


def test_an_own_seaweed_survives_a_pause_and_a_crash(seaweed: Seaweed) -> None:
    hasty = {**seaweed.options, "client_options": {"allow_http": True, "timeout": "300ms"}}
    store = from_url(f"s3://{BUCKET}/root", retry_config={"max_retries": 0}, **hasty)
    obstore.put(store, "key", b"value", mode="create")

    seaweed.pause()
    with pytest.raises(BaseError):
        obstore.get(store, "key")
    seaweed.resume()
    assert bytes(obstore.get(store, "key").bytes()) == b"value"

    seaweed.kill()
    with pytest.raises(BaseError):
        obstore.get(store, "key")
    seaweed.start()
    assert bytes(obstore.get(store, "key").bytes()) == b"value"
    with pytest.raises(AlreadyExistsError):
        obstore.put(store, "key", b"other", mode="create")
