import pytest

from agent.common.errors import AgentError
from agent.formats.age import errors


@pytest.mark.parametrize(
    "error",
    [
        errors.HeaderError,
        errors.HmacError,
        errors.PayloadError,
        errors.ArmorError,
        errors.NoMatchError,
        errors.KeyFormatError,
        errors.RecipientError,
    ],
)
def test_one_except_clause_catches_all(error: type[errors.AgeError]) -> None:
    assert issubclass(error, errors.AgeError)
    assert issubclass(error, AgentError)
    assert error("It is so.").permanent, "trying again does not mend a file"
