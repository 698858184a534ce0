import pytest

from agent.upload.backend import StorageError
from agent.upload.backends.memory import MemoryBackend
from tests.conformance.backend_suite import KEY, BackendSuite, contents


class TestMemoryBackend(BackendSuite):
    @pytest.fixture
    def backend(self) -> MemoryBackend:
        return MemoryBackend()


async def test_fails_before_each_operation_on_demand() -> None:
    seen = []

    def fail(operation: str, key: str) -> None:
        seen.append((operation, key))
        if operation == "put":
            raise StorageError("out of order.")

    backend = MemoryBackend(fail)
    with pytest.raises(StorageError):
        await backend.put(KEY, b"data")
    assert backend.objects == {}
    assert seen == [("put", KEY)]


async def test_can_fail_after_the_object_is_stored() -> None:
    def fail(operation: str, _key: str) -> None:
        if operation == "put done":
            raise StorageError("the answer was lost.")

    backend = MemoryBackend(fail)
    with pytest.raises(StorageError):
        await backend.put(KEY, b"data")
    assert await contents(backend, KEY) == b"data"
