from agent.common.errors import AgentError
from agent.signalling.sip.errors import LocalSipError, SipError, SipParseError
from agent.signalling.sip.message import Request
from agent.signalling.sip.uri import parse_uri


def test_the_tree() -> None:
    assert issubclass(SipError, AgentError)
    assert issubclass(SipParseError, SipError)
    assert issubclass(LocalSipError, SipError)


def test_a_parse_error_is_a_silent_400_unless_said_otherwise() -> None:
    error = SipParseError("The message is odd.")
    assert (error.status, error.partial, error.silent) == (400, None, True)
    assert str(error) == "The message is odd."


def test_a_parse_error_carries_what_to_answer() -> None:
    request = Request("OPTIONS", parse_uri("sip:a@b"))
    error = SipParseError("The version is unknown.", status=505, partial=request)
    assert (error.status, error.partial, error.silent) == (505, request, False)
