import pytest

from agent.common.errors import AgentError
from agent.upload.backend import (
    ObjectDamagedError,
    ObjectExistsError,
    ObjectMissingError,
    StorageBackend,
    StorageDeniedError,
    StorageError,
)
from agent.upload.backends.memory import MemoryBackend


@pytest.mark.parametrize(
    "error",
    [StorageDeniedError, ObjectExistsError, ObjectMissingError, ObjectDamagedError],
)
def test_errors_know_whether_to_try_again(error: type[StorageError]) -> None:
    caught = error("it failed.")
    assert isinstance(caught, AgentError)
    assert caught.permanent
    assert not StorageError("it failed.").permanent
    assert str(caught).startswith("it failed.")


def test_a_backend_is_whatever_keeps_the_contract() -> None:
    backend: StorageBackend = MemoryBackend()
    assert backend is not None
