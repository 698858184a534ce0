from agent.call import release_causes
from agent.signalling.b2bua import reason_header


def test_each_is_told_in_the_protocol_it_is_of() -> None:
    told = {
        name: reason_header(cause)[1]
        for name, cause in vars(release_causes).items()
        if isinstance(cause, int)
    }
    assert told["NORMAL_CLEARING"].startswith("Q.850;cause=16")
    assert told["ANSWERED_ELSEWHERE"].startswith("SIP;cause=200")
    assert len(set(told.values())) == len(told), "no cause has two names"
